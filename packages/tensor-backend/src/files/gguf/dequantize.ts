import { HeedError } from '../../errors.ts'
import { convertInTurns, STRETCH } from '../../turns.ts'
import { decodeValues, type FileDtype } from '../dtypes.ts'
import { numberFromFloat16 } from '../float16.ts'
import { type GgmlType, ggmlTypes } from './types.ts'

/** Writes the elements of the block at `at` of `bytes` to `out` from `to` on. */
type Dequantizer = (bytes: Uint8Array, at: number, out: Float32Array, to: number) => void

const half = (bytes: Uint8Array, at: number): number => numberFromFloat16(bytes[at]! | (bytes[at + 1]! << 8))

/** Blocks of 32 with 4-bit numbers: 16 low halves of bytes, then 16 high ones. */
function fourBits(headBytes: number, element: (q: number, scale: number, offset: number) => number): Dequantizer {
  return (bytes, at, out, to) => {
    const scale = half(bytes, at)
    const offset = headBytes === 4 ? half(bytes, at + 2) : 0
    for (let i = 0; i < 16; i++) {
      const q = bytes[at + headBytes + i]!
      out[to + i] = element(q & 15, scale, offset)
      out[to + 16 + i] = element(q >> 4, scale, offset)
    }
  }
}

/** As `fourBits`, with the fifth bit of each number in a 32-bit word. */
function fiveBits(headBytes: number, element: (q: number, scale: number, offset: number) => number): Dequantizer {
  return (bytes, at, out, to) => {
    const scale = half(bytes, at)
    const offset = headBytes === 4 ? half(bytes, at + 2) : 0
    const high = at + headBytes
    for (let i = 0; i < 16; i++) {
      const q = bytes[high + 4 + i]!
      const lowFifth = (bytes[high + (i >> 3)]! >> (i & 7)) & 1
      const highFifth = (bytes[high + 2 + (i >> 3)]! >> (i & 7)) & 1
      out[to + i] = element((q & 15) | (lowFifth << 4), scale, offset)
      out[to + 16 + i] = element((q >> 4) | (highFifth << 4), scale, offset)
    }
  }
}

function q8_0(bytes: Uint8Array, at: number, out: Float32Array, to: number): void {
  const scale = half(bytes, at)
  for (let i = 0; i < 32; i++) out[to + i] = scale * ((bytes[at + 2 + i]! << 24) >> 24)
}

/** The 16 values that IQ4_NL's 4 bits stand for (ggml's kvalues_iq4nl). */
const nonLinear = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113]

/** Q2_K: 16 bytes of 4-bit scale and minimum, 64 bytes of 2-bit numbers, d, dmin. */
function q2K(bytes: Uint8Array, at: number, out: Float32Array, to: number): void {
  const d = half(bytes, at + 80)
  const dmin = half(bytes, at + 82)
  for (let i = 0; i < 256; i++) {
    const scale = bytes[at + (i >> 4)]!
    const q = (bytes[at + 16 + ((i >> 7) << 5) + (i & 31)]! >> (2 * ((i >> 5) & 3))) & 3
    out[to + i] = d * (scale & 15) * q - dmin * (scale >> 4)
  }
}

/** Q3_K: 32 bytes of third bits, 64 of the lower two, 12 of 6-bit scales, d. A third bit of 0 takes 4 away. */
function q3K(bytes: Uint8Array, at: number, out: Float32Array, to: number): void {
  const d = half(bytes, at + 108)
  for (let group = 0; group < 16; group++) {
    const low = (bytes[at + 96 + (group & 7)]! >> (group < 8 ? 0 : 4)) & 15
    const high = (bytes[at + 104 + (group & 3)]! >> (2 * (group >> 2))) & 3
    const scale = d * ((low | (high << 4)) - 32)
    for (let i = 16 * group; i < 16 * group + 16; i++) {
      const q = (bytes[at + 32 + ((i >> 7) << 5) + (i & 31)]! >> (2 * ((i >> 5) & 3))) & 3
      const third = (bytes[at + (i & 31)]! >> (i >> 5)) & 1
      out[to + i] = scale * (q - (third ? 0 : 4))
    }
  }
}

/** The 6-bit scale and minimum of one of eight groups, packed in 12 bytes (ggml's get_scale_min_k4). */
function scaleAndMin(bytes: Uint8Array, at: number, group: number): [scale: number, min: number] {
  if (group < 4) return [bytes[at + group]! & 63, bytes[at + 4 + group]! & 63]
  const both = bytes[at + 4 + group]!
  return [(both & 15) | ((bytes[at + group - 4]! >> 2) & 48), (both >> 4) | ((bytes[at + group]! >> 2) & 48)]
}

/** Q4_K: d, dmin, 12 bytes of scales and minima, 128 of 4-bit numbers; Q5_K has 32 bytes of fifth bits before these. */
function q4KOrQ5K(fifthBits: 0 | 32): Dequantizer {
  return (bytes, at, out, to) => {
    const d = half(bytes, at)
    const dmin = half(bytes, at + 2)
    for (let group = 0; group < 8; group++) {
      const [scale, min] = scaleAndMin(bytes, at + 4, group)
      const quants = at + 16 + fifthBits + 32 * (group >> 1)
      for (let i = 0; i < 32; i++) {
        const fifth = fifthBits ? (bytes[at + 16 + i]! >> group) & 1 : 0
        const q = ((bytes[quants + i]! >> (4 * (group & 1))) & 15) | (fifth << 4)
        out[to + 32 * group + i] = d * scale * q - dmin * min
      }
    }
  }
}

/** Q6_K: 128 bytes of lower four bits, 64 of upper two, 16 8-bit scales, d. */
function q6K(bytes: Uint8Array, at: number, out: Float32Array, to: number): void {
  const d = half(bytes, at + 208)
  for (let i = 0; i < 256; i++) {
    const low = (bytes[at + ((i >> 7) << 6) + (i & 63)]! >> (4 * ((i >> 6) & 1))) & 15
    const high = (bytes[at + 128 + ((i >> 7) << 5) + (i & 31)]! >> (2 * ((i >> 5) & 3))) & 3
    const scale = (bytes[at + 192 + (i >> 4)]! << 24) >> 24
    out[to + i] = d * scale * ((low | (high << 4)) - 32)
  }
}

const dequantizers: Partial<Record<GgmlType, Dequantizer>> = {
  Q4_0: fourBits(2, (q, scale) => scale * (q - 8)),
  Q4_1: fourBits(4, (q, scale, min) => scale * q + min),
  Q5_0: fiveBits(2, (q, scale) => scale * (q - 16)),
  Q5_1: fiveBits(4, (q, scale, min) => scale * q + min),
  Q8_0: q8_0,
  Q2_K: q2K,
  Q3_K: q3K,
  Q4_K: q4KOrQ5K(0),
  Q5_K: q4KOrQ5K(32),
  Q6_K: q6K,
  IQ4_NL: fourBits(2, (q, scale) => scale * nonLinear[q]!),
}

/** Plain numbers, which are read as any tensor file's. */
const plainTypes: readonly GgmlType[] = ['F32', 'F16', 'BF16', 'F64', 'I8', 'I16', 'I32', 'I64']

const isPlain = (type: GgmlType): type is GgmlType & FileDtype => plainTypes.includes(type)

/**
 * The elements of whole blocks as float32, bit for bit those of ggml's reference (gguf-py `gguf.quants.dequantize`).
 * Throws HEED_DTYPE_UNSUPPORTED on a type without a dequantizer.
 */
export function dequantizeGgml(bytes: Uint8Array, type: GgmlType, where: string): Float32Array {
  if (isPlain(type)) {
    const values = decodeValues(bytes, type, where)
    return values instanceof Float32Array ? values : new Float32Array(values)
  }
  const dequantizer = dequantizers[type]
  if (!dequantizer) {
    const served = [...plainTypes, ...Object.keys(dequantizers)].join(', ')
    throw new HeedError(
      'HEED_DTYPE_UNSUPPORTED',
      `${where}: type is ${type}, expected one of ${served}. Convert the model to one of these.`,
    )
  }
  const layout = ggmlTypes[type]
  const out = new Float32Array((bytes.length / layout.bytes) * layout.elements)
  for (let at = 0, to = 0; at < bytes.length; at += layout.bytes, to += layout.elements) dequantizer(bytes, at, out, to)
  return out
}

/** `dequantizeGgml` that lets other tasks, such as a handler of Ctrl-C, have their turn on the way. */
export async function dequantizeGgmlInTurns(bytes: Uint8Array, type: GgmlType, where: string): Promise<Float32Array> {
  const { elements, bytes: blockBytes } = ggmlTypes[type]
  const out = new Float32Array(Math.floor(bytes.length / blockBytes) * elements)
  const stretch = Math.max(1, STRETCH / elements) * blockBytes
  return convertInTurns(bytes, out, stretch, part => dequantizeGgml(part, type, where))
}
