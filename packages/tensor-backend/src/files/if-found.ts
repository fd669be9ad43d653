import { isHeedError } from '../errors.ts'

/** What `open` gives, or undefined when it throws HEED_FILE_NOT_FOUND. Throws what else it throws. */
export async function ifFound<T>(open: () => Promise<T>): Promise<T | undefined> {
  try {
    return await open()
  } catch (error) {
    if (isHeedError(error) && error.code === 'HEED_FILE_NOT_FOUND') return undefined
    throw error
  }
}
