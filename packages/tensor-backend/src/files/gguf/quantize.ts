import { HeedError } from '../../errors.ts'
import { encodeFloats } from '../dtypes.ts'
import { float16FromFloat32 } from '../float16.ts'
import { ggmlTypes } from './types.ts'

/** Types that float32 weights can be written as. */
export type GgmlFloatType = 'F32' | 'F16' | 'BF16' | 'Q8_0' | 'Q4_0'

const BLOCK = 32
const { fround } = Math

/** Half away from zero, as C's roundf. */
const roundf = (x: number): number => Math.sign(x) * Math.floor(Math.abs(x) + 0.5)

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

const quantizers = { Q8_0: q8_0, Q4_0: q4_0 }

/**
 * float32 values -> blocks of `type`, byte for byte those of ggml's reference (gguf-py `gguf.quants.quantize`).
 * Quantised types take whole rows of 32. Throws HEED_SHAPE_MISMATCH, and HEED_NUMERIC on what the type cannot hold.
 */
export function quantizeGgml(values: Float32Array, type: GgmlFloatType, where: string): Uint8Array {
  if (type !== 'Q8_0' && type !== 'Q4_0') return encodeFloats(values, type, where)
  if (values.length % BLOCK !== 0) {
    throw new HeedError(
      'HEED_SHAPE_MISMATCH',
      `${where}: it has ${values.length} elements, expected a multiple of ${BLOCK} for ${type}.`,
    )
  }
  const strange = values.findIndex(value => !Number.isFinite(value))
  if (strange >= 0) {
    throw new HeedError(
      'HEED_NUMERIC',
      `${where}: element ${strange} is ${values[strange]}, expected finite values for ${type}.`,
    )
  }
  const blocks = values.length / BLOCK
  const { bytes } = ggmlTypes[type]
  const out = new Uint8Array(blocks * bytes)
  const scales = new Float32Array(blocks)
  for (let block = 0; block < blocks; block++)
    scales[block] = quantizers[type](values, block * BLOCK, out, block * bytes)
  for (const [block, scale] of float16FromFloat32(scales).entries()) {
    if ((scale & 0x7fff) === 0x7c00) {
      throw new HeedError(
        'HEED_NUMERIC',
        `${where}: the scale of elements ${block * BLOCK} to ${block * BLOCK + BLOCK - 1} is ${scales[block]}, ` +
          `expected one within the range of float16 for ${type}. Write it as F32.`,
      )
    }
    out[block * bytes] = scale & 0xff
    out[block * bytes + 1] = scale >> 8
  }
  return out
}
