import { tf } from '@heed/tensor-backend'

/** Which channels are sines: even ones, as in the paper, or the first half, as in tensor2tensor and Marian. */
export type SinusoidalLayout = 'interleaved' | 'halves'

/**
 * Positions that are not learned: PE[pos] = sin(pos / 10000^(2k / hiddenSize)) and cos of the same, k = 0, 1, ...
 * Vaswani et al. 2017 (arXiv:1706.03762), section 3.5. It has no parameters and keeps its table outside tensor memory.
 */
export class SinusoidalPositions {
  #table = new Float32Array(0) // [positions, hiddenSize]

  constructor(
    readonly hiddenSize: number,
    readonly layout: SinusoidalLayout = 'interleaved',
  ) {}

  /** Positions offset, offset + 1, ..., offset + seqLen - 1 -> [seqLen, hiddenSize]. */
  range(offset: number, seqLen: number): tf.Tensor {
    this.#growTo(offset + seqLen)
    const values = this.#table.subarray(offset * this.hiddenSize, (offset + seqLen) * this.hiddenSize)
    return tf.tensor2d(values, [seqLen, this.hiddenSize])
  }

  #growTo(positions: number): void {
    const { hiddenSize } = this
    const before = this.#table.length / hiddenSize
    if (positions <= before) return
    const capacity = Math.max(positions, 2 * before)
    const table = new Float32Array(capacity * hiddenSize)
    table.set(this.#table)
    const half = Math.ceil(hiddenSize / 2)
    for (let position = before; position < capacity; position++) {
      for (let channel = 0; channel < hiddenSize; channel++) {
        const isInterleaved = this.layout === 'interleaved'
        const k = isInterleaved ? channel >> 1 : channel % half
        const isSine = isInterleaved ? channel % 2 === 0 : channel < half
        const angle = position / 10000 ** ((2 * k) / hiddenSize)
        table[position * hiddenSize + channel] = isSine ? Math.sin(angle) : Math.cos(angle)
      }
    }
    this.#table = table
  }
}
