import { proxy } from 'comlink'
import { useState } from 'preact/hooks'
import type { WrittenToken } from '../../worker/running-worker.ts'
import { runningWorker } from '../../worker/start.ts'

interface Writing {
  tokens: readonly WrittenToken[]
  isWriting: boolean
  error: unknown
  /** Runs a call that tells each token as it comes, and gives all of them. */
  write(call: (onToken: (token: WrittenToken) => void) => Promise<void>): Promise<WrittenToken[]>
  stop(): void
}

/** Tokens as they come from the worker. */
export function useWriting(): Writing {
  const [tokens, setTokens] = useState<readonly WrittenToken[]>([])
  const [isWriting, setWriting] = useState(false)
  const [error, setError] = useState<unknown>()
  return {
    tokens,
    isWriting,
    error,
    async write(call) {
      const written: WrittenToken[] = []
      setTokens([])
      setError(undefined)
      setWriting(true)
      try {
        await call(
          proxy((token: WrittenToken) => {
            written.push(token)
            setTokens([...written])
          }),
        )
      } catch (cause) {
        setError(cause)
      } finally {
        setWriting(false)
      }
      return written
    },
    stop: () => void runningWorker().stop(),
  }
}
