import { HeedError } from '@heed/tensor-backend'

/** Time after which generation lets timers, signals and the page have a turn, in milliseconds. */
const TURN_MS = 30

/** What a generation ends with when `signal` was aborted. */
export function abortedBy(signal: AbortSignal): HeedError {
  return new HeedError('HEED_ABORTED', 'generate: the signal was aborted, expected it to last.', {
    cause: signal.reason,
  })
}

/** Throws HEED_ABORTED when the caller has cancelled. */
export function checkAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortedBy(signal)
}

/** Lets timers, signals and the page have a turn now and then during a long computation. */
export class Turns {
  #last: number = performance.now()

  async next(): Promise<void> {
    if (performance.now() - this.#last < TURN_MS) return
    await new Promise(resolve => setTimeout(resolve))
    this.#last = performance.now()
  }
}
