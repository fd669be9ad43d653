import { type HeedErrorCode, isHeedError } from '@heed/tensor-backend'

/** Code and message of the HeedError that a call throws. */
export async function failureOf(run: () => unknown): Promise<[HeedErrorCode, string]> {
  try {
    await run()
  } catch (error) {
    if (isHeedError(error)) return [error.code, error.message]
    throw error
  }
  throw new Error('expected a HeedError')
}
