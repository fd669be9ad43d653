import { HeedError } from '../../errors.ts'
import { tf } from '../../tf.ts'
import { type WriteBytes, writeFilesAtomic } from '../atomic-write.ts'
import { shown } from '../strict-json.ts'
import { elementCount } from '../tensor-file.ts'
import { type GgmlFloatType, quantizeGgml } from './quantize.ts'
import {
  aligned,
  DEFAULT_ALIGNMENT,
  type GgmlType,
  type GgufField,
  type GgufType,
  type GgufValue,
  ggmlTypes,
  ggufTypes,
} from './types.ts'

/** Bytes of a known type, at hand or fetched when their turn to be written comes. */
export interface WritableGgmlTensor {
  readonly type: GgmlType
  /** Row-major, the fastest axis last. */
  readonly shape: readonly number[]
  readonly bytes: Uint8Array | (() => Promise<Uint8Array>)
}

export interface WriteGgufOptions {
  /** In the order to be written; `general.architecture` first, as readers expect. */
  readonly metadata: ReadonlyMap<string, GgufField>
  readonly tensors: ReadonlyMap<string, tf.Tensor | WritableGgmlTensor>
  /** What float32 tensors are written as, all or each: F32 unless given. int32 tensors become I32. */
  readonly type?: GgmlFloatType | ((name: string, shape: readonly number[]) => GgmlFloatType)
}

interface PlannedTensor {
  readonly name: string
  readonly type: GgmlType
  readonly shape: readonly number[]
  readonly byteLength: number
  bytes(): Promise<Uint8Array>
}

/** Grows as it is written to: a header's length is known only at its end. */
class HeaderWriter {
  private bytes = new Uint8Array(4096)
  private length = 0

  private reserve(length: number): DataView {
    if (this.length + length > this.bytes.length) {
      const larger = new Uint8Array(2 * (this.length + length))
      larger.set(this.bytes)
      this.bytes = larger
    }
    this.length += length
    return new DataView(this.bytes.buffer, this.length - length, length)
  }

  uint32(value: number): void {
    this.reserve(4).setUint32(0, value, true)
  }

  uint64(value: number | bigint): void {
    this.reserve(8).setBigUint64(0, BigInt(value), true)
  }

  text(value: string): void {
    const bytes = new TextEncoder().encode(value)
    this.uint64(bytes.length)
    this.reserve(bytes.length)
    this.bytes.set(bytes, this.length - bytes.length)
  }

  value(type: GgufType, value: GgufValue): void {
    const number = Number(value)
    if (type === 'string') this.text(value as string)
    else if (type === 'uint8' || type === 'bool') this.reserve(1).setUint8(0, number)
    else if (type === 'int8') this.reserve(1).setInt8(0, number)
    else if (type === 'uint16') this.reserve(2).setUint16(0, number, true)
    else if (type === 'int16') this.reserve(2).setInt16(0, number, true)
    else if (type === 'uint32') this.uint32(number)
    else if (type === 'int32') this.reserve(4).setInt32(0, number, true)
    else if (type === 'float32') this.reserve(4).setFloat32(0, number, true)
    else if (type === 'float64') this.reserve(8).setFloat64(0, number, true)
    else if (type === 'uint64') this.uint64(value as number | bigint)
    else this.reserve(8).setBigInt64(0, BigInt(value as number | bigint), true)
  }

  /** All that was written, and zeros up to a multiple of `alignment`. */
  finish(alignment: number): Uint8Array {
    this.reserve(aligned(this.length, alignment) - this.length)
    return this.bytes.slice(0, this.length)
  }
}

const integerRange: Partial<Record<GgufType, readonly [min: bigint, max: bigint]>> = {
  uint8: [0n, 2n ** 8n - 1n],
  int8: [-(2n ** 7n), 2n ** 7n - 1n],
  uint16: [0n, 2n ** 16n - 1n],
  int16: [-(2n ** 15n), 2n ** 15n - 1n],
  uint32: [0n, 2n ** 32n - 1n],
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
}

function fits(type: GgufType, value: unknown): boolean {
  if (type === 'string') return typeof value === 'string'
  if (type === 'bool') return typeof value === 'boolean'
  const range = integerRange[type]
  if (!range) return typeof value === 'number'
  if (typeof value !== 'bigint' && !(typeof value === 'number' && Number.isSafeInteger(value))) return false
  return BigInt(value) >= range[0] && BigInt(value) <= range[1]
}

function checkField(where: string, key: string, { type, value }: GgufField): void {
  const bad = (Array.isArray(value) ? value : [value]).find(item => !fits(type, item))
  if (bad === undefined) return
  const text = typeof bad === 'bigint' ? String(bad) : shown(bad)
  throw new HeedError(
    'HEED_ARGUMENT_INVALID',
    `${where}: metadata ${shown(key)} is ${text}, expected a value of type ${type}.`,
  )
}

function alignmentOf(where: string, metadata: ReadonlyMap<string, GgufField>): number {
  const value = metadata.get('general.alignment')?.value ?? DEFAULT_ALIGNMENT
  if (typeof value === 'number' && value > 0 && (value & (value - 1)) === 0) return value
  throw new HeedError(
    'HEED_ARGUMENT_INVALID',
    `${where}: metadata "general.alignment" is ${shown(value)}, expected a power of two.`,
  )
}

function plan(
  where: string,
  name: string,
  tensor: tf.Tensor | WritableGgmlTensor,
  floatType: GgmlFloatType,
): PlannedTensor {
  const isTensor = tensor instanceof tf.Tensor
  if (isTensor && tensor.isDisposed) throw new HeedError('HEED_DISPOSED', `${where}: the tensor was disposed.`)
  if (isTensor && tensor.dtype !== 'float32' && tensor.dtype !== 'int32') {
    throw new HeedError('HEED_DTYPE_UNSUPPORTED', `${where}: dtype is ${tensor.dtype}, expected float32 or int32.`)
  }
  const type = !isTensor ? tensor.type : tensor.dtype === 'int32' ? 'I32' : floatType
  const { shape } = tensor
  const { elements, bytes } = ggmlTypes[type]
  if (shape.length > 4 || (shape.at(-1) ?? 1) % elements !== 0) {
    throw new HeedError(
      'HEED_SHAPE_MISMATCH',
      `${where}: shape is ${shown(shape)}, expected at most 4 axes, the last a multiple of ${elements} for ${type}.`,
    )
  }
  const byteLength = ((elementCount(shape) ?? Number.NaN) / elements) * bytes
  const content = async () => {
    if (!isTensor) return typeof tensor.bytes === 'function' ? tensor.bytes() : tensor.bytes
    const values = await tensor.data()
    return values instanceof Float32Array
      ? quantizeGgml(values, floatType, where)
      : new Uint8Array(values.slice().buffer)
  }
  return {
    name,
    type,
    shape,
    byteLength,
    async bytes() {
      const data = await content()
      if (data.byteLength === byteLength) return data
      throw new HeedError(
        'HEED_SHAPE_MISMATCH',
        `${where}: it has ${data.byteLength} bytes, expected ${byteLength} for ${type} of shape ${shown(shape)}.`,
      )
    },
  }
}

function encodeHeader(
  metadata: ReadonlyMap<string, GgufField>,
  tensors: readonly PlannedTensor[],
  alignment: number,
): Uint8Array {
  const header = new HeaderWriter()
  header.uint32(0x46554747) // "GGUF"
  header.uint32(3)
  header.uint64(tensors.length)
  header.uint64(metadata.size)
  for (const [key, { type, value }] of metadata) {
    header.text(key)
    if (Array.isArray(value)) {
      header.uint32(ggufTypes.indexOf('array'))
      header.uint32(ggufTypes.indexOf(type))
      header.uint64(value.length)
      for (const item of value) header.value(type, item)
    } else {
      header.uint32(ggufTypes.indexOf(type))
      header.value(type, value as GgufValue)
    }
  }
  let offset = 0
  for (const { name, type, shape, byteLength } of tensors) {
    header.text(name)
    header.uint32(shape.length)
    for (const size of shape.toReversed()) header.uint64(size)
    header.uint32(ggmlTypes[type].id)
    header.uint64(offset)
    offset = aligned(offset + byteLength, alignment)
  }
  return header.finish(alignment)
}

async function writeContent(
  write: WriteBytes,
  header: Uint8Array,
  tensors: readonly PlannedTensor[],
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
