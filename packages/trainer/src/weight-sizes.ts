import { tf } from '@heed/tensor-backend'
import type { NamedParameter } from './optim/optimizer.ts'

/** A weight that is larger than it was. */
export interface GrownWeight {
  name: string
  /** Root mean square of its numbers. */
  before: number
  now: number
}

/** The root mean squares of weights at one moment, to tell later which have grown. */
export class WeightSizes {
  readonly #before: readonly number[]

  constructor(readonly parameters: readonly NamedParameter[]) {
    this.#before = rootMeanSquares(parameters)
  }

  /**
   * The weight that has grown by the largest factor, of those that have doubled; one that began near 0, as biases do, is
   * compared to the usual size.
   */
  mostGrown(): GrownWeight | undefined {
    const usual = this.#before.reduce((sum, size) => sum + size, 0) / Math.max(1, this.#before.length)
    const now = rootMeanSquares(this.parameters)
    const factors = now.map((size, i) => size / Math.max(this.#before[i]!, usual, Number.MIN_VALUE))
    const most = factors.reduce((best, factor, i) => (factor > factors[best]! ? i : best), 0)
    if (!(factors[most]! >= 2)) return undefined
    return { name: this.parameters[most]![0], before: this.#before[most]!, now: now[most]! }
  }
}

function rootMeanSquares(parameters: readonly NamedParameter[]): number[] {
  if (parameters.length === 0) return []
  return tf.tidy(() => {
    // each in a tidy of its own: the squares take as much memory as the weight
    const sizes = parameters.map(([, value]) => tf.tidy(() => tf.sqrt(tf.mean(tf.square(value)))))
    return Array.from(tf.stack(sizes).dataSync())
  })
}
