import { hash, permuted } from '../random.ts'

/**
 * The order of examples: which index stands at a position of an epoch. A pure function, so that
 * a checkpoint needs to hold nothing but the epoch and the position.
 */
export interface Sampler {
  readonly length: number
  index(epoch: number, position: number): number
}

export function sequentialSampler(length: number): Sampler {
  return { length, index: (_epoch, position) => position }
}

/** Every example once an epoch, in another random order each epoch. */
export function randomSampler(length: number, seed: number): Sampler {
  return { length, index: (epoch, position) => permuted(position, length, hash(seed, epoch)) }
}
