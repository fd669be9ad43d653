import { HeedError } from '../errors.ts'
import type { tf } from '../tf.ts'
import type { ByteSource } from './byte-source.ts'
import { type FileDtype, type RawTensor, tensorFromRaw } from './dtypes.ts'
import { shown } from './strict-json.ts'

export interface TensorInfo {
  readonly dtype: FileDtype
  readonly shape: readonly number[]
}

/** A file, or a folder of shards, with named tensors that are read one at a time. */
export interface TensorFile {
  /** The path, URL or name that messages give. */
  readonly name: string
  /** Names in the order of the file, with what is known before reading. */
  readonly tensors: ReadonlyMap<string, TensorInfo>
  /** The bytes as they lie in the file. Throws HEED_ARGUMENT_INVALID on an unknown name, HEED_FILE_INVALID, HEED_IO. */
  readRaw(name: string): Promise<RawTensor>
  /** A tensor the caller disposes: floats as float32, integers as int32, BOOL as bool. Throws as readRaw, HEED_DTYPE_UNSUPPORTED. */
  read(name: string): Promise<tf.Tensor>
  close(): Promise<void>
}

/** The file whose tensors lie in `source`, given what fetches the bytes of one. */
export function tensorFile<Info extends TensorInfo>(
  source: ByteSource,
  tensors: ReadonlyMap<string, Info>,
  readBytes: (info: Info) => Promise<Uint8Array>,
): TensorFile & { readonly tensors: ReadonlyMap<string, Info> } {
  const readRaw = async (name: string): Promise<RawTensor> => {
    const info = tensorInfo(source.name, tensors, name)
    return { dtype: info.dtype, shape: info.shape, bytes: await readBytes(info) }
  }
  return {
    name: source.name,
    tensors,
    readRaw,
    read: async name => tensorFromRaw(await readRaw(name), `${source.name}: tensor ${shown(name)}`),
    close: () => source.close(),
  }
}

/** Throws HEED_ARGUMENT_INVALID when the file has no tensor of this name. */
export function tensorInfo<Info>(file: string, tensors: ReadonlyMap<string, Info>, name: string): Info {
  const info = tensors.get(name)
  if (info) return info
  const some = [...tensors.keys()].slice(0, 3).map(shown).join(', ')
  throw new HeedError(
    'HEED_ARGUMENT_INVALID',
    `${file}: there is no tensor ${shown(name)} among its ${tensors.size}${some && `, which begin ${some}`}.`,
  )
}

/** The number of elements, or undefined when it is no integer that JavaScript holds exactly (2^53). */
export function elementCount(shape: readonly unknown[]): number | undefined {
  let count = 1
  for (const size of shape) {
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) return undefined
    count *= size
    if (!Number.isSafeInteger(count)) return undefined
  }
  return count
}
