import { HeedError } from '@heed/tensor-backend'
import { hash, permuted } from '../random.ts'
import type { Sampler } from './sampler.ts'

/**
 * Which examples each batch of an epoch has. A pure function, as `Sampler`, so that a checkpoint needs to hold nothing
 * but the epoch and the number of batches done.
 */
export interface BatchOrder {
  readonly numExamples: number
  readonly numBatches: number
  examples(epoch: number, batch: number): number[]
}

const range = (start: number, end: number): number[] => Array.from({ length: end - start }, (_, i) => start + i)

/** Batches of `batchSize` examples in the sampler's order, the last one smaller or left out. */
export function equalBatches(sampler: Sampler, batchSize: number, dropLast: boolean): BatchOrder {
  const numExamples = sampler.length
  return {
    numExamples,
    numBatches: dropLast ? Math.floor(numExamples / batchSize) : Math.ceil(numExamples / batchSize),
    examples: (epoch, batch) => {
      const start = batch * batchSize
      return range(start, Math.min(start + batchSize, numExamples)).map(position => sampler.index(epoch, position))
    },
  }
}

/** Tokens of an example: of its input, and of its labels where these are another text. */
export type TokenCounts = readonly [input: number, labels: number]

export interface TokenBatchOptions {
  /** Most tokens in a batch, with the padding, of inputs and of labels each. */
  maxTokens: number
  /** Of the random order; without it batches come from short to long. */
  seed?: number
}

/**
 * Batches of as many examples of like lengths as `maxTokens` has room for: little padding, and about the same work each
 * (Vaswani et al. 2017, section 5.1). Each epoch shuffles the batches, and examples of the same lengths among them.
 * Throws HEED_ARGUMENT_INVALID at an example longer than a batch.
 */
export function tokenBatches(lengths: readonly TokenCounts[], { maxTokens, seed }: TokenBatchOptions): BatchOrder {
  const longest = ([input, labels]: TokenCounts): number => Math.max(input, labels)
  const tooLong = lengths.findIndex(counts => longest(counts) > maxTokens)
  if (tooLong >= 0) {
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `Trainer: example ${tooLong} has ${longest(lengths[tooLong]!)} tokens, expected at most maxTokensPerBatch (${maxTokens}). ` +
        'Shorten or leave out such examples, or raise maxTokensPerBatch.',
    )
  }
  const compare = (a: number, b: number): number =>
    lengths[a]![1] - lengths[b]![1] || lengths[a]![0] - lengths[b]![0] || a - b
  const sorted = range(0, lengths.length).sort(compare)

  /** Where the examples of the same lengths as the one at a place begin, and how many they are. */
  const runs: { start: number; size: number }[] = []
  const starts: number[] = [] // of the batches
  let width = 0
  for (const [place, index] of sorted.entries()) {
    const before = lengths[sorted[place - 1]!]
    const isSame = before?.[0] === lengths[index]![0] && before[1] === lengths[index]![1]
    const run = isSame ? runs[place - 1]! : { start: place, size: 0 }
    run.size += 1
    runs.push(run)
    width = Math.max(width, longest(lengths[index]!))
    if (starts.length > 0 && width * (place + 1 - starts.at(-1)!) <= maxTokens) continue
    starts.push(place)
    width = longest(lengths[index]!)
  }

  const exampleAt = (epoch: number, place: number): number => {
    if (seed === undefined) return sorted[place]!
    const { start, size } = runs[place]!
    return sorted[start + permuted(place - start, size, hash(seed, epoch, start))]!
  }
  return {
    numExamples: lengths.length,
    numBatches: starts.length,
    examples: (epoch, batch) => {
      const chosen = seed === undefined ? batch : permuted(batch, starts.length, hash(seed, epoch))
      return range(starts[chosen]!, starts[chosen + 1] ?? sorted.length).map(place => exampleAt(epoch, place))
    },
  }
}
