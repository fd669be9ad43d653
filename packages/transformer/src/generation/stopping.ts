import type { Tokenizer } from '@heed/tokenizer'
import { tokenBytes } from './token-bytes.ts'

/** Whether a sequence, prompt included, ends here; asked after each token. */
export type StoppingCriterion = (ids: readonly number[]) => boolean

/** Holds once this many seconds have passed since it was made. */
export function maxTimeCriterion(seconds: number): StoppingCriterion {
  const end = performance.now() + 1000 * seconds
  return () => performance.now() > end
}

/**
 * Holds when the last token completes one of the texts, be it in the midst of what the token writes. A text may begin in the
 * prompt. Bytes are compared, so that it does not matter how the texts are cut into tokens; same decisions as HF's
 * `StopStringCriteria`.
 */
export function stopStringCriterion(texts: readonly string[], tokenizer: Tokenizer): StoppingCriterion {
  const bytesOf = tokenBytes(tokenizer)
  const stops = texts.map(text => new TextEncoder().encode(text))
  const longest = Math.max(...stops.map(stop => stop.length))
  return ids => {
    const last = bytesOf.get(ids.at(-1)!)
    if (!last || last.length === 0) return false
    const tail = [...last] // of the text: all of the last token, and before it what a stop text can reach
    for (let i = ids.length - 2; i >= 0 && tail.length < last.length + longest - 1; i--) {
      tail.unshift(...(bytesOf.get(ids[i]!) ?? []))
    }
    const begin = tail.length - last.length
    return stops.some(stop => isWithin(tail, stop, Math.max(0, begin - stop.length + 1)))
  }
}

/** Whether `part` stands in `bytes` at `first` or later. */
function isWithin(bytes: readonly number[], part: Uint8Array, first: number): boolean {
  for (let i = first; i + part.length <= bytes.length; i++) {
    if (part.every((byte, j) => bytes[i + j] === byte)) return true
  }
  return false
}
