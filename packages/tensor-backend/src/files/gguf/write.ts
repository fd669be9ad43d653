import { HeedError } from '../../errors.ts'
import type { tf } from '../../tf.ts'
import { type WriteBytes, writeFilesAtomic } from '../atomic-write.ts'
import { bytesOfTensor } from '../dtypes.ts'
import { shown } from '../strict-json.ts'
import { elementCount } from '../tensor-file.ts'
import { isLiveTensor, type LazyBytes, type PlannedTensor, planTensor } from '../writable-tensor.ts'
import { checkField, encodeHeader } from './encode.ts'
import { type GgmlFloatType, quantizeGgml } from './quantize.ts'
import { aligned, DEFAULT_ALIGNMENT, type GgmlType, type GgufField, ggmlTypes } from './types.ts'

/** Bytes of a known type, at hand or fetched when their turn to be written comes. */
export interface WritableGgmlTensor {
  readonly type: GgmlType
  /** Row-major, the fastest axis last. */
  readonly shape: readonly number[]
  readonly bytes: LazyBytes
}

export interface WriteGgufOptions {
  /** In the order to be written; `general.architecture` first, as readers expect. */
  readonly metadata: ReadonlyMap<string, GgufField>
  readonly tensors: ReadonlyMap<string, tf.Tensor | WritableGgmlTensor>
  /** What float32 tensors are written as, all or each: F32 unless given. int32 tensors become I32. */
  readonly type?: GgmlFloatType | ((name: string, shape: readonly number[]) => GgmlFloatType)
}

type Planned = PlannedTensor<GgmlType>

function alignmentOf(where: string, metadata: ReadonlyMap<string, GgufField>): number {
  const value = metadata.get('general.alignment')?.value ?? DEFAULT_ALIGNMENT
  if (typeof value === 'number' && value > 0 && (value & (value - 1)) === 0) return value
  throw new HeedError(
    'HEED_ARGUMENT_INVALID',
    `${where}: metadata "general.alignment" is ${shown(value)}, expected a power of two.`,
  )
}

function plan(where: string, name: string, tensor: tf.Tensor | WritableGgmlTensor, floatType: GgmlFloatType): Planned {
  const isTensor = isLiveTensor(where, tensor)
  if (isTensor && tensor.dtype !== 'float32' && tensor.dtype !== 'int32') {
    throw new HeedError('HEED_DTYPE_UNSUPPORTED', `${where}: dtype is ${tensor.dtype}, expected float32 or int32.`)
  }
  const kind = !isTensor ? tensor.type : tensor.dtype === 'int32' ? 'I32' : floatType
  const { shape } = tensor
  const { elements, bytes } = ggmlTypes[kind]
  if (shape.length > 4 || (shape.at(-1) ?? 1) % elements !== 0) {
    throw new HeedError(
      'HEED_SHAPE_MISMATCH',
      `${where}: shape is ${shown(shape)}, expected at most 4 axes, the last a multiple of ${elements} for ${kind}.`,
    )
  }
  const encode = async (values: tf.Tensor): Promise<Uint8Array> =>
    kind === 'I32'
      ? bytesOfTensor(values, kind, where)
      : quantizeGgml((await values.data()) as Float32Array, floatType, where)
  const byteLength = ((elementCount(shape) ?? Number.NaN) / elements) * bytes
  return planTensor(where, { name, kind, shape, byteLength }, isTensor ? () => encode(tensor) : tensor.bytes)
}

async function writeContent(
  write: WriteBytes,
  header: Uint8Array,
  tensors: readonly Planned[],
  alignment: number,
): Promise<void> {
  await write(header)
  for (const tensor of tensors) {
    await write(await tensor.bytes())
    await write(new Uint8Array(aligned(tensor.byteLength, alignment) - tensor.byteLength))
  }
}

/**
 * Writes a GGUF file of version 3, a tensor at a time, whole or not at all; byte for byte what gguf-py's GGUFWriter
 * makes of the same. Throws HEED_ARGUMENT_INVALID, HEED_SHAPE_MISMATCH, HEED_DTYPE_UNSUPPORTED, HEED_NUMERIC on a value
 * that a type cannot hold, HEED_DISPOSED, HEED_IO.
 */
export async function writeGguf(path: string, { metadata, tensors, type = 'F32' }: WriteGgufOptions): Promise<void> {
  for (const [key, field] of metadata) checkField(path, key, field)
  const alignment = alignmentOf(path, metadata)
  const planned = [...tensors].map(([name, tensor]) => {
    const floatType = typeof type === 'function' ? type(name, tensor.shape) : type
    return plan(`${path}: tensor ${shown(name)}`, name, tensor, floatType)
  })
  const header = encodeHeader(metadata, planned, alignment)
  await writeFilesAtomic([{ path, content: write => writeContent(write, header, planned, alignment) }])
}
