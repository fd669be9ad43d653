import { HeedError } from '../../errors.ts'
import { shown } from '../strict-json.ts'
import type { PlannedTensor } from '../writable-tensor.ts'
import { aligned, type GgmlType, type GgufField, type GgufType, type GgufValue, ggmlTypes, ggufTypes } from './types.ts'

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

/** Throws HEED_ARGUMENT_INVALID on a value that its type cannot hold. */
export function checkField(where: string, key: string, { type, value }: GgufField): void {
  const bad = (Array.isArray(value) ? value : [value]).find(item => !fits(type, item))
  if (bad === undefined) return
  const text = typeof bad === 'bigint' ? String(bad) : shown(bad)
  throw new HeedError(
    'HEED_ARGUMENT_INVALID',
    `${where}: metadata ${shown(key)} is ${text}, expected a value of type ${type}.`,
  )
}

/** The whole header of a GGUF file of version 3, with zeros up to where the first tensor begins. */
export function encodeHeader(
  metadata: ReadonlyMap<string, GgufField>,
  tensors: readonly PlannedTensor<GgmlType>[],
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
  for (const { name, kind, shape, byteLength } of tensors) {
    header.text(name)
    header.uint32(shape.length)
    for (const size of shape.toReversed()) header.uint64(size)
    header.uint32(ggmlTypes[kind].id)
    header.uint64(offset)
    offset = aligned(offset + byteLength, alignment)
  }
  return header.finish(alignment)
}
