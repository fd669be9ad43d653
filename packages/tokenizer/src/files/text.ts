import { HeedError } from '../errors.ts'

/** The text of a file in UTF-8, without a byte order mark; `path` is for messages. Throws HEED_FILE_INVALID. */
export function textOfFile(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new HeedError('HEED_FILE_INVALID', `${path}: it is not valid UTF-8. Save it as UTF-8.`, { cause })
  }
}

/** Throws HEED_FILE_INVALID. */
export function jsonOfFile(bytes: Uint8Array, path: string): unknown {
  const text = textOfFile(bytes, path)
  try {
    return JSON.parse(text)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    const message = `${path}: it is not JSON: ${reason}. Correct the file or fetch it again.`
    throw new HeedError('HEED_FILE_INVALID', message, { cause })
  }
}
