import { HeedError, rotary, shown, tf } from '@heed/tensor-backend'
import { fixedAnglesUpTo, type RopeFrequencies, type RopeParameters, ropeFrequencies } from './rope-scaling.ts'

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
 * tables outside tensor memory. Where angles depend on the length of the sequence (`dynamic`, `longrope`), the highest
 * position asked for tells that length, and keys in a cache keep the angles they were made with, as in HF.
 */
export class RotaryEmbedding {
  readonly #isInterleaved: boolean
  readonly #table: AngleTable
  /** Angles of sequences longer than `#fixedUpTo`, of the length they were last asked for. */
  #long: { seqLen: number; table: AngleTable } | undefined
  readonly #fixedUpTo: number

  /** rotaryDim: how many channels of each head turn. Throws HEED_CONFIG_INVALID. */
  constructor(
    readonly rotaryDim: number,
    private readonly rope: RopeParameters,
    { isInterleaved = false }: RotaryEmbeddingOptions = {},
  ) {
    this.#table = new AngleTable(ropeFrequencies(rope, rotaryDim))
    this.#fixedUpTo = fixedAnglesUpTo(rope)
    this.#isInterleaved = isInterleaved
  }

  /**
   * Angles of positions offset, offset + 1, ..., offset + seqLen - 1, the same for every row of a batch. `textLength` is that of
   * the whole text, where these positions are a part of it. Throws HEED_ARGUMENT_INVALID.
   */
  range(offset: number, seqLen: number, textLength?: number): RotaryAngles {
    return this.#angles(
      Array.from({ length: seqLen }, (_, i) => offset + i),
      textLength,
    )
  }

  /** Angles of any positions, one row of numbers for each row of a batch. */
  at(positionIds: readonly (readonly number[])[], textLength?: number): RotaryAngles {
    return this.#angles(positionIds.flat(), textLength)
  }

  /** As `at`, for sequences that have nothing to do with each other: the angles of each depend on its own length only. */
  atEach(positionIds: readonly (readonly number[])[]): RotaryAngles {
    const isFixed = positionIds.every(row => lengthOf(row) <= this.#fixedUpTo)
    if (isFixed || positionIds.length === 1) return this.at(positionIds)
    const rows = positionIds.map(row => this.#angles(row))
    const [cos, sin] = [tf.concat(rows.map(row => row.cos)), tf.concat(rows.map(row => row.sin))]
    tf.dispose(rows.map(row => [row.cos, row.sin]))
    return new RotaryAngles(cos, sin, this.#isInterleaved)
  }

  /** The longest text whose positions have the angles of a text of `textLength` tokens: the same number for the same angles. */
  sameAnglesUpTo(textLength: number): number {
    if (textLength <= this.#fixedUpTo) return this.#fixedUpTo
    return this.rope.ropeType === 'dynamic' ? textLength : Number.POSITIVE_INFINITY
  }

  #angles(positions: readonly number[], textLength = 0): RotaryAngles {
    const wrong = positions.find(position => !(Number.isSafeInteger(position) && position >= 0))
    if (wrong !== undefined) {
      throw new HeedError(
        'HEED_ARGUMENT_INVALID',
        `RotaryEmbedding: a position is ${shown(wrong)}, expected a whole number from 0 on. Count positions from 0.`,
      )
    }
    const { cos, sin } = this.#tableFor(Math.max(textLength, lengthOf(positions))).rows(positions)
    const shape: [number, number] = [positions.length, this.rotaryDim / 2]
    return new RotaryAngles(tf.tensor2d(cos, shape), tf.tensor2d(sin, shape), this.#isInterleaved)
  }

  #tableFor(seqLen: number): AngleTable {
    if (seqLen <= this.#fixedUpTo) return this.#table
    const length = this.sameAnglesUpTo(seqLen)
    if (this.#long?.seqLen !== length) {
      this.#long = { seqLen: length, table: new AngleTable(ropeFrequencies(this.rope, this.rotaryDim, length)) }
    }
    return this.#long.table
  }
}

/** Of the shortest sequence with these positions. */
function lengthOf(positions: readonly number[]): number {
  return positions.reduce((highest, position) => Math.max(highest, position), 0) + 1
}

/** Cosines and sines of a sequence of positions from 0 on, made when they are first asked for. */
class AngleTable {
  #cos = new Float32Array(0) // [positions, half]
  #sin = new Float32Array(0)
  /** Whether a position's row is filled. */
  #isMade = new Uint8Array(0)

  constructor(private readonly frequencies: RopeFrequencies) {}

  /** cos, sin: [positions.length, half]; views of the table where the positions are neighbours. */
  rows(positions: readonly number[]): { cos: Float32Array; sin: Float32Array } {
    const half = this.frequencies.inverse.length
    this.#fill(positions)
    const first = positions[0]!
    if (positions.every((position, i) => position === first + i)) {
      const [begin, end] = [first * half, (first + positions.length) * half]
      return { cos: this.#cos.subarray(begin, end), sin: this.#sin.subarray(begin, end) }
    }
    const gather = (table: Float32Array): Float32Array => {
      const values = new Float32Array(positions.length * half)
      for (const [i, p] of positions.entries()) values.set(table.subarray(p * half, (p + 1) * half), i * half)
      return values
    }
    return { cos: gather(this.#cos), sin: gather(this.#sin) }
  }

  #fill(positions: readonly number[]): void {
    const { inverse, attentionFactor } = this.frequencies
    const half = inverse.length
    this.#growTo(positions.reduce((highest, position) => Math.max(highest, position), 0) + 1)
    for (const position of positions) {
      if (this.#isMade[position]) continue
      this.#isMade[position] = 1
      for (let i = 0; i < half; i++) {
        const angle = Math.fround(position * inverse[i]!)
        this.#cos[position * half + i] = attentionFactor * Math.cos(angle)
        this.#sin[position * half + i] = attentionFactor * Math.sin(angle)
      }
    }
  }

  #growTo(positions: number): void {
    const before = this.#isMade.length
    if (positions <= before) return
    const capacity = Math.max(positions, 2 * before)
    const grown = <T extends Float32Array | Uint8Array>(table: T, longer: T): T => {
      longer.set(table)
      return longer
    }
    const half = this.frequencies.inverse.length
    this.#cos = grown(this.#cos, new Float32Array(capacity * half))
    this.#sin = grown(this.#sin, new Float32Array(capacity * half))
    this.#isMade = grown(this.#isMade, new Uint8Array(capacity))
  }
}
