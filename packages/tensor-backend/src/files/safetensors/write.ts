import { HeedError } from '../../errors.ts'
import type { tf } from '../../tf.ts'
import { type WriteBytes, writeFilesAtomic } from '../atomic-write.ts'
import { bytesOfTensor, dtypeBits, type FileDtype, type FloatFileDtype, fileDtypeOf } from '../dtypes.ts'
import { shown } from '../strict-json.ts'
import { elementCount } from '../tensor-file.ts'
import { isLiveTensor, type LazyBytes, type PlannedTensor, planTensor } from '../writable-tensor.ts'

/** Bytes of a known kind, at hand or fetched when their turn to be written comes. */
export interface WritableTensor {
  readonly dtype: FileDtype
  readonly shape: readonly number[]
  readonly bytes: LazyBytes
}

/** Tensors by name: of tfjs, raw, or lazily raw. */
export type NamedTensors =
  | Readonly<Record<string, tf.Tensor | WritableTensor>>
  | ReadonlyMap<string, tf.Tensor | WritableTensor>

export interface WriteSafetensorsOptions {
  /** Strings for `__metadata__`, in this order; `{ format: 'pt' }` unless given, which `transformers` asks for. */
  readonly metadata?: Readonly<Record<string, string>>
  /** What float32 tensors are written as: F32 unless given. */
  readonly dtype?: FloatFileDtype
}

/** A tensor of a file dtype, planned. */
export type Planned = PlannedTensor<FileDtype>

/** Names a JSON header can carry and give back. Throws HEED_ARGUMENT_INVALID. */
function checkName(where: string, name: string): void {
  if (name === '__metadata__' || /\p{Surrogate}/u.test(name)) {
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `${where}: tensor name is ${shown(name)}, expected well-formed Unicode other than "__metadata__". Rename it.`,
    )
  }
}

function checkMetadata(where: string, metadata: Readonly<Record<string, unknown>>): void {
  for (const [key, value] of Object.entries(metadata)) {
    if (typeof value === 'string') continue
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `${where}: metadata ${shown(key)} is ${shown(value)}, expected a string.`,
    )
  }
}

function plan(where: string, name: string, tensor: tf.Tensor | WritableTensor, floatDtype: FloatFileDtype): Planned {
  const isTensor = isLiveTensor(where, tensor)
  const kind = isTensor ? fileDtypeOf(tensor, floatDtype, where) : tensor.dtype
  const { shape } = tensor
  const byteLength = ((elementCount(shape) ?? Number.NaN) * dtypeBits[kind]) / 8
  return planTensor(
    where,
    { name, kind, shape, byteLength },
    isTensor ? () => bytesOfTensor(tensor, kind, where) : tensor.bytes,
  )
}

/** What will be written, in the order given. Throws HEED_ARGUMENT_INVALID, HEED_DTYPE_UNSUPPORTED, HEED_DISPOSED. */
export function planTensors(where: string, tensors: NamedTensors, dtype: FloatFileDtype): Planned[] {
  const entries = tensors instanceof Map ? [...tensors] : Object.entries(tensors as Record<string, tf.Tensor>)
  return entries.map(([name, tensor]) => {
    checkName(where, name)
    return plan(`${where}: tensor ${shown(name)}`, name, tensor, dtype)
  })
}

const dtypeOrder = Object.keys(dtypeBits)

/** By alignment, widest first, then by name in UTF-8 order: the layout of the reference implementation. */
function inFileOrder(tensors: readonly Planned[]): Planned[] {
  const encoder = new TextEncoder()
  const keyed = tensors.map(tensor => ({
    tensor,
    rank: dtypeOrder.indexOf(tensor.kind),
    key: encoder.encode(tensor.name),
  }))
  keyed.sort((a, b) => a.rank - b.rank || compareBytes(a.key, b.key))
  return keyed.map(({ tensor }) => tensor)
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) if (a[i] !== b[i]) return a[i]! - b[i]!
  return a.length - b.length
}

/** Written piece by piece, since an object would move keys that look like integers to its front. */
function encodeHeader(tensors: readonly Planned[], metadata: Readonly<Record<string, string>>): Uint8Array {
  const parts = Object.keys(metadata).length > 0 ? [`"__metadata__":${JSON.stringify(metadata)}`] : []
  let offset = 0
  for (const { name, kind: dtype, shape, byteLength } of tensors) {
    const entry = { dtype, shape, data_offsets: [offset, offset + byteLength] }
    parts.push(`${JSON.stringify(name)}:${JSON.stringify(entry)}`)
    offset += byteLength
  }
  const json = new TextEncoder().encode(`{${parts.join(',')}}`)
  const header = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20) // spaces, so that the data is aligned to 8
  new DataView(header.buffer).setBigUint64(0, BigInt(header.length - 8), true)
  header.set(json, 8)
  return header
}

/** Sends one file to `write`, a tensor at a time. */
export async function writeContent(
  write: WriteBytes,
  tensors: readonly Planned[],
  metadata: Readonly<Record<string, string>>,
): Promise<void> {
  const ordered = inFileOrder(tensors)
  await write(encodeHeader(ordered, metadata))
  for (const tensor of ordered) await write(await tensor.bytes())
}

/**
 * Writes tensors byte for byte as the Python library does, one at a time, whole or not at all: float32 as `dtype`,
 * int32 as I32, bool as BOOL, raw ones as they are. Throws HEED_ARGUMENT_INVALID, HEED_DTYPE_UNSUPPORTED,
 * HEED_SHAPE_MISMATCH, HEED_NUMERIC when a finite value overflows `dtype`, HEED_DISPOSED, HEED_IO.
 */
export async function writeSafetensors(
  path: string,
  tensors: NamedTensors,
  { metadata = { format: 'pt' }, dtype = 'F32' }: WriteSafetensorsOptions = {},
): Promise<void> {
  checkMetadata(path, metadata)
  const planned = planTensors(path, tensors, dtype)
  await writeFilesAtomic([{ path, content: write => writeContent(write, planned, metadata) }])
}

/** The bytes that `writeSafetensors` would write, for a download in a page. Throws the same but HEED_IO. */
export async function serializeSafetensors(
  tensors: NamedTensors,
  { metadata = { format: 'pt' }, dtype = 'F32' }: WriteSafetensorsOptions = {},
): Promise<Uint8Array> {
  checkMetadata('safetensors', metadata)
  const chunks: Uint8Array[] = []
  await writeContent(async bytes => void chunks.push(bytes), planTensors('safetensors', tensors, dtype), metadata)
  const whole = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0))
  let offset = 0
  for (const chunk of chunks) {
    whole.set(chunk, offset)
    offset += chunk.length
  }
  return whole
}
