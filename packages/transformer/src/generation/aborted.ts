import { HeedError } from '@heed/tensor-backend'

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
