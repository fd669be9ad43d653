import { HeedError } from '../../errors.ts'
import { convertInTurns, STRETCH } from '../../turns.ts'
import { encodeFloats } from '../dtypes.ts'
import { float16FromNumber } from '../float16.ts'
import { type GgmlKType, quantizeKBlock } from './quantize-k.ts'
import { ggmlTypes } from './types.ts'

/** Types that float32 weights can be written as. */
export type GgmlFloatType = 'F32' | 'F16' | 'BF16' | 'Q8_0' | 'Q4_0' | GgmlKType

const BLOCK = 32
const { fround } = Math

/** Half away from zero, as C's roundf. */
const roundf = (x: number): number => (x < 0 ? -Math.floor(0.5 - x) : Math.floor(x + 0.5))

/** 1 / d in float32, and 0 where d is zero or so small that its inverse is infinite. */
function inverse(d: number): number {
  const id = fround(1 / d)
  return Number.isFinite(id) ? id : 0
}

/** The scale is |x|max / 127; each number is x / scale, rounded. */
function q8_0(x: Float32Array, from: number, out: Uint8Array, to: number): number {
  let max = 0
  for (let i = 0; i < BLOCK; i++) max = Math.max(max, Math.abs(x[from + i]!))
  const d = fround(max / 127)
  const id = inverse(d)
  for (let i = 0; i < BLOCK; i++) out[to + 2 + i] = roundf(fround(x[from + i]! * id))
  return d
}

/** The scale is the number of largest magnitude / -8, so that it becomes exactly 0; each is x / scale + 8, rounded. */
function q4_0(x: Float32Array, from: number, out: Uint8Array, to: number): number {
  let extreme = 0
  for (let i = 0; i < BLOCK; i++) if (Math.abs(x[from + i]!) > Math.abs(extreme)) extreme = x[from + i]!
  const d = fround(extreme / -8)
  const id = inverse(d)
  const quantum = (i: number) => Math.min(15, Math.trunc(fround(fround(x[from + i]! * id) + 8.5)))
  for (let i = 0; i < BLOCK / 2; i++) out[to + 2 + i] = quantum(i) | (quantum(i + BLOCK / 2) << 4)
  return d
}

/** Writes a block of zeros to `out` from `to` on; returns its scale, or the largest of its scales. */
type BlockQuantizer = (x: Float32Array, from: number, out: Uint8Array, to: number) => number

/** A block of 32 behind its scale. */
function scaled(quantize: BlockQuantizer): BlockQuantizer {
  return (x, from, out, to) => {
    const scale = quantize(x, from, out, to)
    const bits = float16FromNumber(scale)
    out[to] = bits & 0xff
    out[to + 1] = bits >> 8
    return scale
  }
}

const inGroups =
  (type: GgmlKType): BlockQuantizer =>
  (x, from, out, to) =>
    quantizeKBlock(type, x, from, out, to)

const quantizers: Readonly<Partial<Record<GgmlFloatType, BlockQuantizer>>> = {
  Q8_0: scaled(q8_0),
  Q4_0: scaled(q4_0),
  Q2_K: inGroups('Q2_K'),
  Q3_K: inGroups('Q3_K'),
  Q4_K: inGroups('Q4_K'),
  Q5_K: inGroups('Q5_K'),
  Q6_K: inGroups('Q6_K'),
}

/** The largest float32 that is a finite float16, by rounding. */
const MOST_HALF = 65519.996

/**
 * float32 values -> blocks of `type`; Q8_0 and Q4_0 byte for byte those of ggml's reference (gguf-py `gguf.quants.quantize`).
 * Quantised types take whole rows of 32, K-quants of 256. Throws HEED_SHAPE_MISMATCH, and HEED_NUMERIC on what the type
 * cannot hold; `first` is the number of the first value there.
 */
export function quantizeGgml(values: Float32Array, type: GgmlFloatType, where: string, first = 0): Uint8Array {
  if (type === 'F32' || type === 'F16' || type === 'BF16') return encodeFloats(values, type, where, first)
  const { elements, bytes } = ggmlTypes[type]
  if (values.length % elements !== 0) {
    throw new HeedError(
      'HEED_SHAPE_MISMATCH',
      `${where}: it has ${first + values.length} elements, expected a multiple of ${elements} for ${type}.`,
    )
  }
  const strange = values.findIndex(value => !Number.isFinite(value))
  if (strange >= 0) {
    throw new HeedError(
      'HEED_NUMERIC',
      `${where}: element ${first + strange} is ${values[strange]}, expected finite values for ${type}.`,
    )
  }
  const quantize = quantizers[type]!
  const out = new Uint8Array((values.length / elements) * bytes)
  for (let from = 0, to = 0; from < values.length; from += elements, to += bytes) {
    const scale = quantize(values, from, out, to)
    if (Math.abs(scale) <= MOST_HALF) continue
    throw new HeedError(
      'HEED_NUMERIC',
      `${where}: the scale of elements ${first + from} to ${first + from + elements - 1} is ${scale}, ` +
        `expected one within the range of float16 for ${type}. Write it as F32.`,
    )
  }
  return out
}

/** `quantizeGgml` that lets other tasks, such as a handler of Ctrl-C, have their turn on the way. */
export async function quantizeGgmlInTurns(
  values: Float32Array,
  type: GgmlFloatType,
  where: string,
): Promise<Uint8Array> {
  if (type === 'F32') return quantizeGgml(values, type, where)
  const { elements, bytes } = ggmlTypes[type]
  const out = new Uint8Array(Math.floor(values.length / elements) * bytes)
  return convertInTurns(values, out, STRETCH, (numbers, first) => quantizeGgml(numbers, type, where, first))
}
