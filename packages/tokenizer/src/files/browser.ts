import { HeedError } from '../errors.ts'
import type { TextFiles } from './file-system.ts'
import { fetchBytes, joinUrl } from './url.ts'

/** A name without a scheme is a URL relative to the page. */
export const files: TextFiles = {
  readBytes: fetchBytes,
  join: joinUrl,
  async writeText(path) {
    throw new HeedError(
      'HEED_IO',
      `${path}: files cannot be written by path outside Node. Serialize toJSON() and offer it as a download.`,
    )
  },
}
