import { tf } from '../tf.ts'
import { type ByteSourceLike, openWith } from './open-byte-source.ts'
import { isReadableFloat, readFloats } from './read-floats.ts'
import { readHeader, type SafetensorsInfo } from './safetensors/header.ts'
import { type TensorFile, tensorFile } from './tensor-file.ts'
import type { UrlOptions } from './url-source.ts'

export interface SafetensorsFile extends TensorFile {
  /** The strings under `__metadata__`, `{ format: 'pt' }` in files of PyTorch models. */
  readonly metadata: Readonly<Record<string, string>>
  /** In the order of their bytes, which makes reading all of them one sweep over the file. */
  readonly tensors: ReadonlyMap<string, SafetensorsInfo>
}

/**
 * Opens a safetensors file and checks its whole header; tensors are read on demand, one at a time.
 * Throws HEED_FILE_NOT_FOUND, HEED_FILE_INVALID, HEED_IO.
 */
export async function openSafetensors(source: ByteSourceLike, options: UrlOptions = {}): Promise<SafetensorsFile> {
  return openWith(source, options, async opened => {
    const { metadata, tensors } = await readHeader(opened)
    const file = tensorFile(opened, tensors, ({ byteOffset, byteLength }) => opened.read(byteOffset, byteLength))
    return {
      ...file,
      metadata,
      async read(name) {
        const info = tensors.get(name)
        if (!info || !isReadableFloat(info.dtype)) return file.read(name)
        return readFloats(opened, { ...info, dtype: info.dtype })
      },
    }
  })
}

export interface ReadSafetensorsOptions extends UrlOptions {
  /** Only these tensors, in this order; all when left out. */
  readonly names?: Iterable<string>
}

/**
 * The tensors of a file by name, read one after the other: floats as float32, integers as int32, BOOL as bool.
 * The caller disposes them. Throws HEED_FILE_NOT_FOUND, HEED_FILE_INVALID, HEED_DTYPE_UNSUPPORTED, HEED_IO, and
 * HEED_ARGUMENT_INVALID on a name that is not there; on any error no tensor stays.
 */
export async function readSafetensors(
  source: ByteSourceLike,
  { names, ...options }: ReadSafetensorsOptions = {},
): Promise<Record<string, tf.Tensor>> {
  const file = await openSafetensors(source, options)
  const tensors = new Map<string, tf.Tensor>()
  try {
    for (const name of new Set(names ?? file.tensors.keys())) tensors.set(name, await file.read(name))
    return Object.fromEntries(tensors)
  } catch (error) {
    tf.dispose([...tensors.values()])
    throw error
  } finally {
    await file.close()
  }
}
