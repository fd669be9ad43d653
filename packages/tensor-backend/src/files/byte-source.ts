import { HeedError } from '../errors.ts'

/** An open file of the system that several read by its descriptor: each holds it until it releases it. */
export interface SharedFile {
  /** The path. */
  readonly name: string
  /** -1 once all have released it, so that nobody reads from the file that takes its number. */
  readonly fd: number
  hold(): void
  release(): void
  /** Whether its size and time are those it was opened with. */
  isUnchanged(): boolean
}

/** Random access to bytes: a file, a URL, a Blob or a buffer. */
export interface ByteSource {
  /** What messages call it: the path, the URL, the file's name, or `buffer`. */
  readonly name: string
  readonly byteLength: number
  /** The descriptor of a file of the system, while it is open. */
  readonly fd?: number
  /** The same file opened once more, held by the caller; undefined where the path has become another file's. */
  share?(): SharedFile | undefined
  /**
   * A copy of bytes [offset, offset + length), owned by the caller: in the beginning of `room`, where the source can write
   * there, or in memory of its own. Throws HEED_FILE_INVALID beyond the end, HEED_IO.
   */
  read(offset: number, length: number, room?: Uint8Array): Promise<Uint8Array>
  close(): Promise<void>
}

/** Throws HEED_FILE_INVALID unless [offset, offset + length) lies within the source. */
export function checkRange(source: { name: string; byteLength: number }, offset: number, length: number): void {
  if (offset >= 0 && length >= 0 && offset + length <= source.byteLength) return
  throw new HeedError(
    'HEED_FILE_INVALID',
    `${source.name}: bytes ${offset} to ${offset + length} are needed, expected them within its ${source.byteLength} bytes. ` +
      'The file is truncated or damaged: copy or download it again.',
  )
}

/** Bytes that are already in memory. */
export function memorySource(name: string, bytes: Uint8Array): ByteSource {
  const source = {
    name,
    byteLength: bytes.byteLength,
    async read(offset: number, length: number): Promise<Uint8Array> {
      checkRange(source, offset, length)
      return new Uint8Array(bytes.subarray(offset, offset + length)) // a copy, also of a Buffer, whose slice shares memory
    },
    async close(): Promise<void> {},
  }
  return source
}

/** A Blob, or a File that a page was given. */
export function blobSource(blob: Blob): ByteSource {
  const source = {
    name: 'name' in blob && typeof blob.name === 'string' ? blob.name : 'blob',
    byteLength: blob.size,
    async read(offset: number, length: number): Promise<Uint8Array> {
      checkRange(source, offset, length)
      return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer())
    },
    async close(): Promise<void> {},
  }
  return source
}
