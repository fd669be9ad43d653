import type { KernelBackend } from '../../backends/kernel-backend.ts'
import { HeedError } from '../../errors.ts'
import { inPlaceBackend } from '../../ops/in-place.ts'
import { withWorkspace } from '../../ops/workspace.ts'
import type { tf } from '../../tf.ts'
import { convertInTurns, STRETCH, Turns } from '../../turns.ts'
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

type BlockType = Exclude<GgmlFloatType, 'F32' | 'F16' | 'BF16'>

const quantizers: Readonly<Record<BlockType, BlockQuantizer>> = {
  Q8_0: scaled(q8_0),
  Q4_0: scaled(q4_0),
  Q2_K: inGroups('Q2_K'),
  Q3_K: inGroups('Q3_K'),
  Q4_K: inGroups('Q4_K'),
  Q5_K: inGroups('Q5_K'),
  Q6_K: inGroups('Q6_K'),
}

/** Is told of the scale of each block, or the largest of its scales; NaN where one of its numbers is not finite. */
type CheckScale = (block: number, scale: number) => void

function quantizeHere(values: Float32Array, type: BlockType, out: Uint8Array, check: CheckScale): void {
  const { elements, bytes } = ggmlTypes[type]
  const quantize = quantizers[type]
  for (let block = 0; block < values.length / elements; block++) {
    const from = block * elements
    const areFinite = values.subarray(from, from + elements).every(Number.isFinite)
    check(block, areFinite ? quantize(values, from, out, block * bytes) : Number.NaN)
  }
}

/** Numbers that kernels are given at a time. */
const PIECE = 2 ** 18

/** The same blocks, bit for bit, by kernels/quantize.cc. */
function quantizeByKernels(
  backend: KernelBackend,
  values: Float32Array,
  type: BlockType,
  out: Uint8Array,
  check: CheckScale,
): void {
  const { id, elements, bytes } = ggmlTypes[type]
  const { library } = backend
  const most = Math.min(values.length, PIECE) / elements
  withWorkspace(backend, most * elements + 2 * most + Math.ceil((most * bytes) / 4), address => {
    for (let first = 0; first < values.length; first += PIECE) {
      const numbers = values.subarray(first, first + PIECE)
      const count = numbers.length / elements
      const scalesAt = 4 * numbers.length
      const blocksAt = scalesAt + 8 * count
      const { buffer, byteOffset } = library.view(address, blocksAt + count * bytes)
      new Float32Array(buffer, byteOffset, numbers.length).set(numbers)
      library.kernels.quantize(address, address + blocksAt, address + scalesAt, id, count)
      const scales = new Float64Array(buffer, byteOffset + scalesAt, count)
      for (let block = 0; block < count; block++) check(first / elements + block, scales[block]!)
      out.set(new Uint8Array(buffer, byteOffset + blocksAt, count * bytes), (first / elements) * bytes)
    }
  })
}

/** The largest float32 that is a finite float16, by rounding. */
const MOST_HALF = 65519.996

/**
 * float32 values -> blocks of `type`; Q8_0 and Q4_0 byte for byte those of ggml's reference (gguf-py `gguf.quants.quantize`).
 * Quantised types take whole rows of 32, K-quants of 256; kernels make them where the active backend has them. Throws
 * HEED_SHAPE_MISMATCH, and HEED_NUMERIC on what the type cannot hold; `first` is the number of the first value there.
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
  const check: CheckScale = (block, scale) => {
    if (Math.abs(scale) <= MOST_HALF) return
    const strange = values.findIndex(value => !Number.isFinite(value))
    const from = first + block * elements
    throw new HeedError(
      'HEED_NUMERIC',
      strange >= 0
        ? `${where}: element ${first + strange} is ${values[strange]}, expected finite values for ${type}.`
        : `${where}: the scale of elements ${from} to ${from + elements - 1} is ${scale}, ` +
            `expected one within the range of float16 for ${type}. Write it as F32.`,
    )
  }
  const out = new Uint8Array((values.length / elements) * bytes)
  const backend = inPlaceBackend()
  if (backend) quantizeByKernels(backend, values, type, out, check)
  else quantizeHere(values, type, out, check)
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
  const stretch = inPlaceBackend() ? PIECE : STRETCH
  return convertInTurns(values, out, stretch, (numbers, first) => quantizeGgml(numbers, type, where, first))
}

/**
 * `quantizeGgmlInTurns` of a float32 tensor, which is read a piece at a time where the backend's memory lets it, so that no copy of it
 * is made.
 */
export async function quantizeTensorInTurns(
  tensor: tf.Tensor,
  type: GgmlFloatType,
  where: string,
): Promise<Uint8Array> {
  const backend = inPlaceBackend()
  if (!backend || type === 'F32') return quantizeGgmlInTurns((await tensor.data()) as Float32Array, type, where)
  const { elements, bytes } = ggmlTypes[type]
  const out = new Uint8Array(Math.floor(tensor.size / elements) * bytes)
  const piece = new Float32Array(Math.min(PIECE, tensor.size))
  const turns = new Turns()
  for (let first = 0; first < tensor.size; first += PIECE) {
    const numbers = piece.subarray(0, tensor.size - first)
    backend.readPartInto(tensor, numbers, first)
    out.set(quantizeGgml(numbers, type, where, first), (first / elements) * bytes)
    await turns.next()
  }
  return out
}
