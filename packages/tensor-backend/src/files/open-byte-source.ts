import { openFile } from '#file-system'
import { HeedError } from '../errors.ts'
import { type ByteSource, blobSource, memorySource } from './byte-source.ts'
import { openUrl, type UrlOptions } from './url-source.ts'

/** A path (in Node; in a page, a URL relative to it), a URL, a Blob or File, bytes in memory, or an opened source. */
export type ByteSourceLike = string | URL | Blob | ArrayBuffer | Uint8Array | ByteSource

export const isUrl = (address: string): boolean => /^(https?|blob|data):/.test(address)

/** Opens any source for reading by ranges. Throws HEED_FILE_NOT_FOUND, HEED_IO. */
export async function openByteSource(source: ByteSourceLike, options: UrlOptions = {}): Promise<ByteSource> {
  if (source instanceof Uint8Array) return memorySource('buffer', source)
  if (source instanceof ArrayBuffer) return memorySource('buffer', new Uint8Array(source))
  if (source instanceof Blob) return blobSource(source)
  if (typeof source === 'object' && 'read' in source) return source
  const address = String(source)
  return isUrl(address) ? openUrl(address, options) : openFile(address)
}

/** Opens a source and hands it to `use`, which keeps it; when `use` throws, the source is closed. */
export async function openWith<T>(
  source: ByteSourceLike,
  options: UrlOptions,
  use: (opened: ByteSource) => Promise<T>,
): Promise<T> {
  const opened = await openByteSource(source, options)
  try {
    return await use(opened)
  } catch (error) {
    await opened.close()
    throw error
  }
}

/** The whole of a source as text. Throws HEED_FILE_INVALID when it is not UTF-8, HEED_FILE_NOT_FOUND, HEED_IO. */
export async function readText(source: ByteSourceLike, options: UrlOptions = {}): Promise<string> {
  const opened = await openByteSource(source, options)
  try {
    return decodeUtf8(await opened.read(0, opened.byteLength), opened.name)
  } finally {
    await opened.close()
  }
}

/** UTF-8 -> text, a byte order mark kept. Throws HEED_FILE_INVALID on bytes that are not UTF-8. */
export function decodeUtf8(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    throw new HeedError(
      'HEED_FILE_INVALID',
      `${where}: text is not valid UTF-8. The file is damaged or of another format.`,
      {
        cause,
      },
    )
  }
}
