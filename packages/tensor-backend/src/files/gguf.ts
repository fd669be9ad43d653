import { MappedFile } from '../backends/mapped-file.ts'
import { inPlaceBackend } from '../ops/in-place.ts'
import { tf } from '../tf.ts'
import type { SharedFile } from './byte-source.ts'
import { tensorFromRaw } from './dtypes.ts'
import { dequantizeGgml, dequantizeGgmlInTurns } from './gguf/dequantize.ts'
import { type GgufHeader, readGgufHeader } from './gguf/header.ts'
import { type ByteSourceLike, openWith } from './open-byte-source.ts'
import { isReadableFloat, readFloats } from './read-floats.ts'
import { shown } from './strict-json.ts'
import { tensorInfo } from './tensor-file.ts'
import type { UrlOptions } from './url-source.ts'

/** Where bytes lie in a file of the system. */
export interface FilePlace {
  readonly file: SharedFile
  readonly offset: number
}

export interface GgufFile extends GgufHeader {
  /** The path, URL or name that messages give. */
  readonly name: string
  /**
   * Where a tensor lies, when the whole file is one of the system's; open until `close`, unless it is held.
   * Throws HEED_ARGUMENT_INVALID on an unknown name.
   */
  placeOf(name: string): FilePlace | undefined
  /**
   * The blocks as they lie in the file, or `length` bytes of them from `offset` on, in the beginning of `room` where the source
   * can write there. Throws HEED_ARGUMENT_INVALID on an unknown name, HEED_FILE_INVALID beyond the end, HEED_IO.
   */
  readRaw(name: string, part?: { offset: number; length: number; room?: Uint8Array | undefined }): Promise<Uint8Array>
  /** The elements in row-major order. Throws as readRaw, HEED_DTYPE_UNSUPPORTED on a type without a dequantizer. */
  dequantize(name: string): Promise<Float32Array>
  /**
   * A tensor the caller disposes: I8 to I64 as int32, all else dequantized to float32. On the native backend F32 of a file is not
   * copied but mapped: what is written to the tensor stays in this process, and a file that becomes shorter is HEED_IO when it is
   * read. Throws as dequantize.
   */
  read(name: string): Promise<tf.Tensor>
  close(): Promise<void>
}

export interface GgufOptions extends UrlOptions {
  /** What an earlier opening of the same file read, to be used again. */
  header?: GgufHeader
}

/**
 * Opens a GGUF file of version 2 or 3 and checks its whole header; tensors are read on demand, one at a time.
 * Throws HEED_FILE_NOT_FOUND, HEED_FILE_INVALID, HEED_IO.
 */
export async function openGguf(
  source: ByteSourceLike,
  { header: known, ...options }: GgufOptions = {},
): Promise<GgufFile> {
  return openWith(source, options, async opened => {
    const { version, metadata, tensors } = known ?? (await readGgufHeader(opened))
    let shared: SharedFile | undefined
    let mapped: MappedFile | undefined
    const sharedFile = (): SharedFile | undefined => (shared ??= opened.share?.())
    const mapFile = (): MappedFile | undefined => {
      const backend = inPlaceBackend()
      const file = backend && sharedFile()
      mapped ??= file && MappedFile.open(backend, file, opened.byteLength)
      return mapped
    }
    const where = (name: string) => `${opened.name}: tensor ${shown(name)}`
    const infoOf = (name: string) => tensorInfo(opened.name, tensors, name)
    const readRaw: GgufFile['readRaw'] = async (name, part) => {
      const { byteOffset, byteLength } = infoOf(name)
      const { offset, length, room } = part ?? { offset: 0, length: byteLength }
      return opened.read(byteOffset + offset, length, room)
    }
    return {
      version,
      metadata,
      tensors,
      name: opened.name,
      placeOf(name) {
        const { byteOffset: offset } = infoOf(name)
        const file = sharedFile()
        return file && { file, offset }
      },
      readRaw,
      dequantize: async name => dequantizeGgml(await readRaw(name), infoOf(name).type, where(name)),
      async read(name) {
        const { type, shape, byteOffset, byteLength } = infoOf(name)
        const inPlace = type === 'F32' && byteLength > 0 && mapFile()?.floats(byteOffset, shape)
        if (inPlace) return inPlace
        if (isReadableFloat(type)) return readFloats(opened, { dtype: type, shape, byteOffset })
        const bytes = await readRaw(name)
        if (type === 'I8' || type === 'I16' || type === 'I32' || type === 'I64') {
          return tensorFromRaw({ dtype: type, shape, bytes }, where(name))
        }
        return tf.tensor(await dequantizeGgmlInTurns(bytes, type, where(name)), [...shape], 'float32')
      },
      close() {
        shared?.release()
        mapped?.close()
        shared = mapped = undefined
        return opened.close()
      },
    }
  })
}
