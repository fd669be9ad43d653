import { HeedError } from '../errors.ts'
import type { TextFiles } from './file-system.ts'
import { isPrivate, listPrivate, readPrivate, writePrivate } from './private.ts'
import { fetchBytes, joinUrl } from './url.ts'

/** An `opfs:` address, or a URL; a name without a scheme is a URL relative to the page. */
export const files: TextFiles = {
  readBytes: address => (isPrivate(address) ? readPrivate(address) : fetchBytes(address)),
  list: async address => (isPrivate(address) ? listPrivate(address) : []),
  kindOf: async () => undefined,
  join: joinUrl,
  async writeText(address, text) {
    if (isPrivate(address)) return writePrivate(address, text)
    throw new HeedError(
      'HEED_IO',
      `${address}: a page writes only below opfs:/, the files it keeps for itself. Write there, or offer toJSON() as a download.`,
    )
  },
}
