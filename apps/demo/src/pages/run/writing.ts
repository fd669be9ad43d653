import { proxy } from 'comlink'
import { useEffect, useState } from 'preact/hooks'
import type { WrittenToken } from '../../worker/running-worker.ts'
import { runningWorker } from '../../worker/start.ts'

interface Writing {
  tokens: readonly WrittenToken[]
  isWriting: boolean
  error: unknown
  /** Runs a call that tells each token as it comes, and gives all of them; undefined where it fails. */
  write(call: (onToken: (token: WrittenToken) => void) => Promise<void>): Promise<WrittenToken[] | undefined>
  stop(): void
  clear(): void
}

const stop = (): void => void runningWorker().stop()

/** Tokens as they come from the worker, as long as they are shown. */
export function useWriting(): Writing {
  const [tokens, setTokens] = useState<readonly WrittenToken[]>([])
  const [isWriting, setWriting] = useState(false)
  const [error, setError] = useState<unknown>()
  useEffect(() => stop, [])
  const clear = (): void => {
    setTokens([])
    setError(undefined)
  }
  return {
    tokens,
    isWriting,
    error,
    async write(call) {
      const written: WrittenToken[] = []
      clear()
      setWriting(true)
      try {
        await call(
          proxy((token: WrittenToken) => {
            written.push(token)
            setTokens([...written])
          }),
        )
        return written
      } catch (cause) {
        setError(cause)
        return undefined
      } finally {
        setWriting(false)
      }
    },
    stop,
    clear,
  }
}
