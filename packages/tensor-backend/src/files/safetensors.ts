import { tf } from '../tf.ts'
import { type RawTensor, tensorFromRaw } from './dtypes.ts'
import { type ByteSourceLike, openByteSource } from './open-byte-source.ts'
import { readHeader, type SafetensorsInfo } from './safetensors/header.ts'
import { shown } from './strict-json.ts'
import { type TensorFile, tensorInfo } from './tensor-file.ts'
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
  const bytes = await openByteSource(source, options)
  try {
    const { metadata, tensors } = await readHeader(bytes)
    const readRaw = async (name: string): Promise<RawTensor> => {
      const { dtype, shape, byteOffset, byteLength } = tensorInfo(bytes.name, tensors, name)
      return { dtype, shape, bytes: await bytes.read(byteOffset, byteLength) }
    }
    return {
      name: bytes.name,
      metadata,
      tensors,
      readRaw,
      read: async name => tensorFromRaw(await readRaw(name), `${bytes.name}: tensor ${shown(name)}`),
      close: () => bytes.close(),
    }
  } catch (error) {
    await bytes.close()
    throw error
  }
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
