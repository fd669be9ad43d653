import { dropout, HeedError, shown, type tf } from '@heed/tensor-backend'
import { layerSeed } from './initializers.ts'
import { Module } from './module.ts'
import { Random } from './random.ts'

/**
 * While training, zeroes elements with probability `rate` and scales the others by 1 / (1 - rate); else does nothing.
 * Srivastava et al. 2014. Each call has another mask; `seedDropout` fixes the sequence.
 */
export class Dropout extends Module {
  #random = new Random(layerSeed())

  /** Throws HEED_ARGUMENT_INVALID. */
  constructor(readonly rate: number) {
    super()
    if (typeof rate === 'number' && rate >= 0 && rate < 1) return
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `Dropout: rate is ${shown(rate)}, expected a number from 0 to below 1. Give the share of elements to drop.`,
    )
  }

  /** Begins a sequence of masks. */
  seed(seed: number): void {
    this.#random = new Random(seed)
  }

  /** Where the sequence of masks is, to have the same masks again with `restore`. */
  save(): number[] {
    return this.#random.save()
  }

  restore(state: readonly number[]): void {
    this.#random.restore(state)
  }

  /** What `attention` wants to drop weights by: nothing outside training. */
  get option(): { dropout?: { rate: number; seed: number } } {
    return this.isTraining && this.rate > 0 ? { dropout: { rate: this.rate, seed: this.#random.uint32() } } : {}
  }

  /** x: any shape -> same shape; x itself outside training. */
  forward(x: tf.Tensor): tf.Tensor {
    return this.isTraining && this.rate > 0 ? dropout(x, this.rate, this.#random.uint32()) : x
  }
}

/** Fixes the masks of every `Dropout` in a module. Called with a seed made of run and step, it makes a resumed run exact. */
export function seedDropout(module: Module, seed: number): void {
  const random = new Random(seed)
  for (const [, part] of module.namedModules()) if (part instanceof Dropout) part.seed(random.uint32())
}
