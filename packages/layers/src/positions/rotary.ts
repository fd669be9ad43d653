import { rotary, tf } from '@heed/tensor-backend'
import { type RopeParameters, ropeFrequencies } from './rope-scaling.ts'

/** Cosines and sines of one forward pass, for all its layers. */
export class RotaryAngles {
  constructor(
    readonly cos: tf.Tensor, // [seqLen | batch · seqLen, rotaryDim / 2]
    readonly sin: tf.Tensor,
    readonly isInterleaved: boolean,
  ) {}

  /** x: [batch, seqLen, numHeads, headDim] -> same shape, rotated by position. Throws HEED_SHAPE_MISMATCH. */
  apply(x: tf.Tensor): tf.Tensor {
    return rotary(x, this.cos, this.sin, { isInterleaved: this.isInterleaved })
  }
}

export interface RotaryEmbeddingOptions {
  /** Pairs (0, 1), (2, 3), ... as in Meta's files; by default pairs (i, i + rotaryDim / 2) as in HF's. */
  isInterleaved?: boolean
}

/**
 * Rotary position embedding: each pair of channels of a query or key turns by an angle proportional to its position.
 * Su et al. 2021 (arXiv:2104.09864), eq. 34; same numbers as HF `LlamaRotaryEmbedding`. It has no parameters and keeps its
 * tables outside tensor memory.
 */
export class RotaryEmbedding {
  readonly #inverse: Float32Array
  readonly #attentionFactor: number
  readonly #isInterleaved: boolean
  #cos = new Float32Array(0) // [positions, rotaryDim / 2]
  #sin = new Float32Array(0)

  /** rotaryDim: how many channels of each head turn. Throws HEED_CONFIG_INVALID. */
  constructor(
    readonly rotaryDim: number,
    rope: RopeParameters,
    { isInterleaved = false }: RotaryEmbeddingOptions = {},
  ) {
    const { inverse, attentionFactor } = ropeFrequencies(rope, rotaryDim)
    this.#inverse = inverse
    this.#attentionFactor = attentionFactor
    this.#isInterleaved = isInterleaved
  }

  /** Angles of positions offset, offset + 1, ..., offset + seqLen - 1, the same for every row of a batch. */
  range(offset: number, seqLen: number): RotaryAngles {
    const half = this.#inverse.length
    this.#growTo(offset + seqLen)
    const rows = (table: Float32Array): tf.Tensor =>
      tf.tensor2d(table.subarray(offset * half, (offset + seqLen) * half), [seqLen, half])
    return new RotaryAngles(rows(this.#cos), rows(this.#sin), this.#isInterleaved)
  }

  /** Angles of any positions, one row of numbers for each row of a batch. */
  at(positionIds: readonly (readonly number[])[]): RotaryAngles {
    const half = this.#inverse.length
    const positions = positionIds.flat()
    this.#growTo(positions.reduce((highest, position) => Math.max(highest, position), 0) + 1)
    const rows = (table: Float32Array): tf.Tensor => {
      const values = new Float32Array(positions.length * half)
      for (const [i, p] of positions.entries()) values.set(table.subarray(p * half, (p + 1) * half), i * half)
      return tf.tensor2d(values, [positions.length, half])
    }
    return new RotaryAngles(rows(this.#cos), rows(this.#sin), this.#isInterleaved)
  }

  #growTo(positions: number): void {
    const half = this.#inverse.length
    const before = this.#cos.length / half
    if (positions <= before) return
    const capacity = Math.max(positions, 2 * before)
    const cos = new Float32Array(capacity * half)
    const sin = new Float32Array(capacity * half)
    cos.set(this.#cos)
    sin.set(this.#sin)
    for (let position = before; position < capacity; position++) {
      for (let i = 0; i < half; i++) {
        const angle = Math.fround(position * this.#inverse[i]!)
        cos[position * half + i] = this.#attentionFactor * Math.cos(angle)
        sin[position * half + i] = this.#attentionFactor * Math.sin(angle)
      }
    }
    this.#cos = cos
    this.#sin = sin
  }
}
