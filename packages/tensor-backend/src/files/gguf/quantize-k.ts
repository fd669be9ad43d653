import { float16FromNumber, numberFromFloat16 } from '../float16.ts'

/** ggml's types of blocks of 256 in groups, each group with a scale of few bits of its own ("K-quants"). */
export type GgmlKType = 'Q2_K' | 'Q3_K' | 'Q4_K' | 'Q5_K' | 'Q6_K'

const BLOCK = 256

/** Room for one block: what each number becomes, how much its error counts, and the scale and minimum of each group. */
const levels = new Uint8Array(BLOCK)
const weights = new Float64Array(BLOCK)
const scales = new Float64Array(16)
const minima = new Float64Array(16)

/** Fills `weights`: an error counts more where x is large, since there it weighs in a sum of products. */
function weigh(x: Float32Array, from: number, count: number): void {
  let mean = 0
  for (let i = 0; i < count; i++) mean += Math.abs(x[from + i]!) / count
  for (let i = 0; i < count; i++) weights[i] = mean + Math.abs(x[from + i]!)
}

/** The nearest whole number within [least, most], upwards from the middle; comparisons first, as they are the faster way. */
function clamp(value: number, least: number, most: number): number {
  if (value >= most) return most
  return value > least ? Math.floor(value + 0.5) : least
}

/**
 * Scale and minimum, neither negative, that make the weighted squares of x - (scale · q - minimum) small, q from 0 to `most`.
 * Tries rounding with scales around the range of x, and takes for each the best numbers by least squares.
 */
function fitWithMinimum(x: Float32Array, from: number, count: number, most: number): [scale: number, minimum: number] {
  let low = 0
  let high = x[from]!
  for (let i = 0; i < count; i++) {
    low = Math.min(low, x[from + i]!)
    high = Math.max(high, x[from + i]!)
  }
  if (high <= low) return [0, -low]
  weigh(x, from, count)
  let best: [number, number] = [(high - low) / most, -low]
  let least = Number.POSITIVE_INFINITY
  for (let step = -10; step <= 10; step++) {
    const inverse = (most + step / 10) / (high - low)
    let [w, wq, wqq, wx, wxq] = [0, 0, 0, 0, 0]
    for (let i = 0; i < count; i++) {
      const value = x[from + i]!
      const q = clamp(inverse * (value - low), 0, most)
      const weight = weights[i]!
      w += weight
      wq += weight * q
      wqq += weight * q * q
      wx += weight * value
      wxq += weight * value * q
    }
    const determinant = w * wqq - wq * wq
    if (determinant <= 0) continue
    let scale = (w * wxq - wx * wq) / determinant
    let offset = (wqq * wx - wq * wxq) / determinant
    if (offset > 0) {
      offset = 0
      scale = wxq / wqq
    }
    if (!(scale > 0)) continue
    let error = 0
    for (let i = 0; i < count; i++) {
      const value = x[from + i]!
      const q = clamp((value - offset) / scale, 0, most)
      const difference = scale * q + offset - value
      error += weights[i]! * (difference * difference)
    }
    if (error < least) {
      least = error
      best = [scale, -offset]
    }
  }
  return best
}

/** Scale, of either sign, that makes the weighted squares of x - scale · q small, q from -`half` to `half` - 1. */
function fitSymmetric(x: Float32Array, from: number, count: number, half: number): number {
  let extreme = 0
  for (let i = 0; i < count; i++) if (Math.abs(x[from + i]!) > Math.abs(extreme)) extreme = x[from + i]!
  if (extreme === 0) return 0
  let best = -extreme / half
  let most = 0
  for (let step = -9; step <= 9; step++) {
    const inverse = -(half + step / 10) / extreme
    let products = 0
    let squares = 0
    for (let i = 0; i < count; i++) {
      const value = x[from + i]!
      const q = clamp(inverse * value, -half, half - 1)
      products += value * value * value * q
      squares += value * value * q * q
    }
    // the least weighted squares for these q, counted down from those of x itself
    const gain = squares > 0 ? (products * products) / squares : 0
    if (gain > most) {
      most = gain
      best = products / squares
    }
  }
  return best
}

/** Writes a float16 and gives what a reader gets. */
function putHalf(value: number, out: Uint8Array, at: number): number {
  const bits = float16FromNumber(value)
  out[at] = bits & 0xff
  out[at + 1] = bits >> 8
  return numberFromFloat16(bits)
}

interface Layout {
  readonly groups: number
  /** Levels of a number. */
  readonly levels: number
  /** Levels of a scale, and of a minimum where there is one. */
  readonly scaleLevels: number
  /** Where d stands, and dmin behind it where there is one. */
  readonly at: number
}

const withMinimum = {
  Q2_K: { groups: 16, levels: 4, scaleLevels: 16, at: 80 },
  Q4_K: { groups: 8, levels: 16, scaleLevels: 64, at: 0 },
  Q5_K: { groups: 8, levels: 32, scaleLevels: 64, at: 0 },
} as const satisfies Record<string, Layout>

const symmetric = {
  Q3_K: { groups: 16, levels: 8, scaleLevels: 64, at: 108 },
  Q6_K: { groups: 16, levels: 64, scaleLevels: 256, at: 208 },
} as const satisfies Record<string, Layout>

/** Fills `levels`, `scales` and `minima` with what is written of them. Returns the larger of d and dmin. */
function quantizeWithMinimum(x: Float32Array, from: number, out: Uint8Array, to: number, layout: Layout): number {
  const { groups, at } = layout
  const size = BLOCK / groups
  let [largestScale, largestMinimum] = [0, 0]
  for (let group = 0; group < groups; group++) {
    const [scale, minimum] = fitWithMinimum(x, from + group * size, size, layout.levels - 1)
    scales[group] = scale
    minima[group] = minimum
    largestScale = Math.max(largestScale, scale)
    largestMinimum = Math.max(largestMinimum, minimum)
  }
  const most = layout.scaleLevels - 1
  const d = putHalf(largestScale / most, out, to + at)
  const dmin = putHalf(largestMinimum / most, out, to + at + 2)
  for (let group = 0; group < groups; group++) {
    scales[group] = d === 0 ? 0 : clamp(scales[group]! / d, 0, most)
    minima[group] = dmin === 0 ? 0 : clamp(minima[group]! / dmin, 0, most)
    const scale = d * scales[group]!
    const minimum = dmin * minima[group]!
    for (let i = group * size; i < (group + 1) * size; i++)
      levels[i] = scale === 0 ? 0 : clamp((x[from + i]! + minimum) / scale, 0, layout.levels - 1)
  }
  return Math.max(largestScale, largestMinimum) / most
}

/** Fills `levels` and `scales`, which count from their least. Returns d. */
function quantizeSymmetric(x: Float32Array, from: number, out: Uint8Array, to: number, layout: Layout): number {
  const { groups, at } = layout
  const size = BLOCK / groups
  let extreme = 0
  for (let group = 0; group < groups; group++) {
    scales[group] = fitSymmetric(x, from + group * size, size, layout.levels / 2)
    if (Math.abs(scales[group]!) > Math.abs(extreme)) extreme = scales[group]!
  }
  const halfScale = layout.scaleLevels / 2
  // the scale of largest magnitude becomes the least number, which has no positive counterpart
  const most = extreme === 0 ? 0 : -extreme / halfScale
  const d = putHalf(most, out, to + at)
  for (let group = 0; group < groups; group++) {
    const counted = d === 0 ? 0 : clamp(scales[group]! / d, -halfScale, halfScale - 1)
    scales[group] = counted + halfScale
    const scale = d * counted
    const half = layout.levels / 2
    for (let i = group * size; i < (group + 1) * size; i++)
      levels[i] = scale === 0 ? half : clamp(x[from + i]! / scale, -half, half - 1) + half
  }
  return most
}

/** The lower or upper `bits` of each level, from `shift` on, packed as ggml does: runs of `run` numbers above each other in bytes. */
function packBits(out: Uint8Array, at: number, bits: number, shift: number, run: number): void {
  const perByte = 8 / bits
  const mask = (1 << bits) - 1
  for (let i = 0; i < BLOCK; i++) {
    const stack = Math.floor(i / (run * perByte))
    const byte = at + stack * run + (i % run)
    out[byte]! |= ((levels[i]! >> shift) & mask) << (bits * (Math.floor(i / run) % perByte))
  }
}

/** Eight scales and minima of 6 bits in 12 bytes. */
function packScalesAndMinima(out: Uint8Array, at: number): void {
  for (let group = 0; group < 8; group++) {
    const [scale, minimum] = [scales[group]!, minima[group]!]
    if (group < 4) {
      out[at + group]! |= scale
      out[at + 4 + group]! |= minimum
    } else {
      out[at + 4 + group]! |= (scale & 15) | ((minimum & 15) << 4)
      out[at + group - 4]! |= (scale >> 4) << 6
      out[at + group]! |= (minimum >> 4) << 6
    }
  }
}

const packers: Readonly<Record<GgmlKType, (out: Uint8Array, to: number) => void>> = {
  Q2_K(out, to) {
    for (let group = 0; group < 16; group++) out[to + group] = scales[group]! | (minima[group]! << 4)
    packBits(out, to + 16, 2, 0, 32)
  },
  Q3_K(out, to) {
    packBits(out, to, 1, 2, 32)
    packBits(out, to + 32, 2, 0, 32)
    for (let group = 0; group < 16; group++) {
      out[to + 96 + (group & 7)]! |= (scales[group]! & 15) << (group < 8 ? 0 : 4)
      out[to + 104 + (group & 3)]! |= (scales[group]! >> 4) << (2 * (group >> 2))
    }
  },
  Q4_K(out, to) {
    packScalesAndMinima(out, to + 4)
    packBits(out, to + 16, 4, 0, 32)
  },
  Q5_K(out, to) {
    packScalesAndMinima(out, to + 4)
    packBits(out, to + 16, 1, 4, 32)
    packBits(out, to + 48, 4, 0, 32)
  },
  Q6_K(out, to) {
    packBits(out, to, 4, 0, 64)
    packBits(out, to + 128, 2, 4, 32)
    for (let group = 0; group < 16; group++) out[to + 192 + group] = scales[group]! - 128
  },
}

/**
 * Writes the 256 numbers from `from` on as a block to `out` from `to` on, which holds zeros. Returns the block's largest
 * scale, which must be within the range of float16. Layouts: ggml's `block_q4_K` and its relatives, as `dequantizeGgml`
 * reads them; the scales are found by weighted least squares, so that bytes may differ from those of ggml's own quantizer.
 */
export function quantizeKBlock(type: GgmlKType, x: Float32Array, from: number, out: Uint8Array, to: number): number {
  const largest =
    type === 'Q3_K' || type === 'Q6_K'
      ? quantizeSymmetric(x, from, out, to, symmetric[type])
      : quantizeWithMinimum(x, from, out, to, withMinimum[type])
  packers[type](out, to)
  return largest
}
