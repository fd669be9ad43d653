import { HeedError } from '../errors.ts'
import { tf } from '../tf.ts'
import { convertInTurns, STRETCH } from '../turns.ts'
import { bfloat16FromFloat32, float16FromFloat32, float32FromBfloat16, float32FromFloat16 } from './float16.ts'

/**
 * Bits of one element, by the names of the safetensors format and in the order its Python library lays tensors out.
 * The sub-byte and 8-bit float kinds can be listed and copied as bytes, not turned into tensors.
 */
export const dtypeBits = {
  U64: 64,
  I64: 64,
  F64: 64,
  C64: 64,
  F32: 32,
  U32: 32,
  I32: 32,
  BF16: 16,
  F16: 16,
  U16: 16,
  I16: 16,
  F8_E5M2FNUZ: 8,
  F8_E4M3FNUZ: 8,
  F8_E8M0: 8,
  F8_E4M3: 8,
  F8_E5M2: 8,
  I8: 8,
  U8: 8,
  F6_E3M2: 6,
  F6_E2M3: 6,
  F4: 4,
  BOOL: 8,
} as const

export type FileDtype = keyof typeof dtypeBits

/** Kinds a float32 tensor can be written as. */
export type FloatFileDtype = 'F32' | 'F16' | 'BF16' | 'F64'

/** A tensor as it lies in a file: little-endian bytes in row-major order. */
export interface RawTensor {
  readonly dtype: FileDtype
  readonly shape: readonly number[]
  readonly bytes: Uint8Array
}

export function isFileDtype(name: unknown): name is FileDtype {
  return typeof name === 'string' && Object.hasOwn(dtypeBits, name)
}

const INT32_MAX = 2 ** 31 - 1

/** Typed arrays over the same memory need `bytes` to begin on a multiple of the element size; others are copied. */
function view<T>(
  bytes: Uint8Array,
  Kind: { new (buffer: ArrayBufferLike, offset: number, length: number): T; readonly BYTES_PER_ELEMENT: number },
): T {
  const size = Kind.BYTES_PER_ELEMENT
  const aligned = bytes.byteOffset % size === 0 ? bytes : bytes.slice()
  return new Kind(aligned.buffer, aligned.byteOffset, aligned.byteLength / size)
}

function outOfRange(where: string, dtype: string, value: number | bigint, index: number): HeedError {
  return new HeedError(
    'HEED_FILE_INVALID',
    `${where}: element ${index} is ${value}, expected ${dtype} values that an int32 tensor holds (-2147483648 to 2147483647).`,
  )
}

function int32From64(words: Int32Array, bytes: Uint8Array, dtype: 'I64' | 'U64', where: string): Int32Array {
  const out = new Int32Array(words.length / 2)
  for (let i = 0; i < out.length; i++) {
    const low = words[2 * i]!
    const high = words[2 * i + 1]!
    const fits = dtype === 'I64' ? high === low >> 31 : high === 0 && low >= 0
    if (!fits) {
      const data = new DataView(bytes.buffer, bytes.byteOffset + 8 * i)
      throw outOfRange(where, dtype, dtype === 'I64' ? data.getBigInt64(0, true) : data.getBigUint64(0, true), i)
    }
    out[i] = low
  }
  return out
}

function int32FromU32(values: Uint32Array, where: string): Int32Array {
  const tooLarge = values.findIndex(value => value > INT32_MAX)
  if (tooLarge >= 0) throw outOfRange(where, 'U32', values[tooLarge]!, tooLarge)
  return new Int32Array(values)
}

function float32FromF64(values: Float64Array, where: string): Float32Array {
  const out = new Float32Array(values)
  for (let i = 0; i < out.length; i++) {
    if (!Number.isFinite(out[i]) && Number.isFinite(values[i])) {
      throw new HeedError(
        'HEED_FILE_INVALID',
        `${where}: element ${i} is ${values[i]}, expected F64 values within the range of float32 (3.4028234663852886e+38).`,
      )
    }
  }
  return out
}

function checkBooleans(values: Uint8Array, where: string): Uint8Array {
  const bad = values.findIndex(value => value > 1)
  if (bad < 0) return values
  throw new HeedError('HEED_FILE_INVALID', `${where}: element ${bad} is ${values[bad]}, expected BOOL values 0 or 1.`)
}

/**
 * File bytes -> the values of a tfjs tensor: floats to float32, integers to int32, BOOL to 0 and 1.
 * F32, I32 and BOOL share the memory of `bytes`. Throws HEED_FILE_INVALID on a value out of range, HEED_DTYPE_UNSUPPORTED.
 */
export function decodeValues(
  bytes: Uint8Array,
  dtype: FileDtype,
  where: string,
): Float32Array | Int32Array | Uint8Array {
  switch (dtype) {
    case 'F32':
      return view(bytes, Float32Array)
    case 'F16':
      return float32FromFloat16(view(bytes, Uint16Array))
    case 'BF16':
      return float32FromBfloat16(view(bytes, Uint16Array))
    case 'F64':
      return float32FromF64(view(bytes, Float64Array), where)
    case 'I64':
    case 'U64':
      return int32From64(view(bytes, Int32Array), bytes, dtype, where)
    case 'I32':
      return view(bytes, Int32Array)
    case 'U32':
      return int32FromU32(view(bytes, Uint32Array), where)
    case 'I16':
      return new Int32Array(view(bytes, Int16Array))
    case 'U16':
      return new Int32Array(view(bytes, Uint16Array))
    case 'I8':
      return new Int32Array(view(bytes, Int8Array))
    case 'U8':
      return new Int32Array(bytes)
    case 'BOOL':
      return checkBooleans(bytes, where)
    default:
      throw new HeedError(
        'HEED_DTYPE_UNSUPPORTED',
        `${where}: dtype is ${dtype}, expected one that becomes a tensor (F64, F32, F16, BF16, integers, BOOL). Read its bytes instead.`,
      )
  }
}

/** The tfjs tensor of a raw one: floats as float32, integers as int32, BOOL as bool. Throws as `decodeValues`. */
export function tensorFromRaw({ dtype, shape, bytes }: RawTensor, where: string): tf.Tensor {
  const values = decodeValues(bytes, dtype, where)
  const tfDtype = values instanceof Float32Array ? 'float32' : values instanceof Int32Array ? 'int32' : 'bool'
  return tf.tensor(values, [...shape], tfDtype)
}

function narrowed(values: Float32Array, dtype: 'F16' | 'BF16', where: string, first: number): Uint16Array {
  const bits = dtype === 'F16' ? float16FromFloat32(values) : bfloat16FromFloat32(values)
  const infinity = dtype === 'F16' ? 0x7c00 : 0x7f80
  for (let i = 0; i < bits.length; i++) {
    if ((bits[i]! & 0x7fff) === infinity && Number.isFinite(values[i])) {
      throw new HeedError(
        'HEED_NUMERIC',
        `${where}: element ${first + i} is ${values[i]}, expected a value within the range of ${dtype}. Write it as F32.`,
      )
    }
  }
  return bits
}

const bytesOf = (array: ArrayBufferView): Uint8Array => new Uint8Array(array.buffer, array.byteOffset, array.byteLength)

/**
 * float32 values -> file bytes of `dtype`, rounding to nearest, ties to even. F32 shares memory.
 * Throws HEED_NUMERIC when a finite value would become infinite; `first` is the number of the first value there.
 */
export function encodeFloats(values: Float32Array, dtype: FloatFileDtype, where: string, first = 0): Uint8Array {
  if (dtype === 'F32') return bytesOf(values)
  if (dtype === 'F64') return bytesOf(new Float64Array(values))
  return bytesOf(narrowed(values, dtype, where, first))
}

/** `encodeFloats` that lets other tasks have their turn on the way. */
export async function encodeFloatsInTurns(
  values: Float32Array,
  dtype: FloatFileDtype,
  where: string,
): Promise<Uint8Array> {
  if (dtype === 'F32') return encodeFloats(values, dtype, where)
  const out = new Uint8Array((values.length * dtypeBits[dtype]) / 8)
  return convertInTurns(values, out, STRETCH, (numbers, first) => encodeFloats(numbers, dtype, where, first))
}

/** The file dtype a tensor is written as: float32 as `floatDtype`, int32 as I32, bool as BOOL. Throws HEED_DTYPE_UNSUPPORTED. */
export function fileDtypeOf(tensor: tf.Tensor, floatDtype: FloatFileDtype, where: string): FileDtype {
  if (tensor.dtype === 'float32') return floatDtype
  if (tensor.dtype === 'int32') return 'I32'
  if (tensor.dtype === 'bool') return 'BOOL'
  throw new HeedError('HEED_DTYPE_UNSUPPORTED', `${where}: dtype is ${tensor.dtype}, expected float32, int32 or bool.`)
}

/** Reads a tensor's values back and encodes them as `dtype`, which `fileDtypeOf` chose. Throws HEED_NUMERIC. */
export async function bytesOfTensor(tensor: tf.Tensor, dtype: FileDtype, where: string): Promise<Uint8Array> {
  const values = await tensor.data()
  if (tensor.dtype === 'float32') return encodeFloatsInTurns(values as Float32Array, dtype as FloatFileDtype, where)
  return bytesOf(values)
}
