import { HeedError } from '@heed/tensor-backend'
import type { TrainingArguments } from '../arguments.ts'
import { show } from '../checks.ts'
import { hash } from '../random.ts'
import type { Batch } from './batch.ts'
import { type BatchOrder, equalBatches, type TokenCounts, tokenBatches } from './batch-order.ts'
import type { Collator } from './collators.ts'
import { randomSampler, sequentialSampler } from './sampler.ts'
import { type DatasetLike, type IndexedDataset, isStream, passOf } from './sources.ts'

/** One of the processes that share the batches. */
export interface Share {
  rank: number
  size: number
}

export interface BatchPlan<T> {
  /** Of several processes each takes every size-th batch, from the rank-th on. */
  share: Share
  collator: Collator<T>
  /** Batches of one update. */
  accumulation: number
  seed: number
  /** Of data sets with a length. */
  order: BatchOrder | undefined
  /** Of streams. */
  batchSize: number
  dropLast: boolean
}

export type BatchArguments = Pick<
  TrainingArguments,
  | 'perDeviceTrainBatchSize'
  | 'maxTokensPerBatch'
  | 'gradientAccumulationSteps'
  | 'dataloaderDropLast'
  | 'seed'
  | 'dataSeed'
  | 'shuffle'
>

/** The order and sizes that training arguments ask for. Throws HEED_CONFIG_INVALID, HEED_ARGUMENT_INVALID. */
export async function batchPlan<T>(
  dataset: DatasetLike<T>,
  collator: Collator<T>,
  args: BatchArguments,
  { rank, size }: Share = { rank: 0, size: 1 },
): Promise<BatchPlan<T>> {
  checkDataset(dataset)
  return {
    share: { rank, size },
    collator,
    accumulation: args.gradientAccumulationSteps,
    seed: args.seed,
    order: await batchOrder(dataset, args),
    batchSize: args.perDeviceTrainBatchSize,
    dropLast: args.dataloaderDropLast,
  }
}

/** Throws HEED_CONFIG_INVALID when it is neither of those that `DatasetLike` names. */
function checkDataset(dataset: unknown): void {
  const { length, get } = dataset as Partial<IndexedDataset<unknown>>
  const isIndexed = Number.isSafeInteger(length) && typeof get === 'function'
  if (isIndexed || (typeof dataset === 'object' && isStream(dataset as DatasetLike<unknown>))) return
  const mend = Array.isArray(dataset)
    ? 'Wrap the list: Dataset.from(rows).'
    : 'Read files by loadDataset or loadTextCorpus.'
  throw new HeedError(
    'HEED_CONFIG_INVALID',
    `Trainer: the data set is ${show(dataset)}, expected one with length and get(index), or an async iterable. ${mend}`,
  )
}

async function batchOrder<T>(dataset: DatasetLike<T>, args: BatchArguments): Promise<BatchOrder | undefined> {
  const { shuffle, seed, dataSeed = seed, maxTokensPerBatch: maxTokens } = args
  if (isStream(dataset)) {
    if (maxTokens === 0) return undefined
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      `TrainingArguments: maxTokensPerBatch is ${maxTokens}, expected 0 since the data set is a stream, whose lengths are not known. ` +
        'Read it into a Dataset, or set perDeviceTrainBatchSize.',
    )
  }
  if (maxTokens > 0) return tokenBatches(await tokenCounts(dataset), { maxTokens, ...(shuffle && { seed: dataSeed }) })
  const sampler = shuffle ? randomSampler(dataset.length, dataSeed) : sequentialSampler(dataset.length)
  return equalBatches(sampler, args.perDeviceTrainBatchSize, args.dataloaderDropLast)
}

/** Reads every example once, as HF's `LengthGroupedSampler` does. Throws HEED_CONFIG_INVALID when one has no inputIds. */
async function tokenCounts<T>(dataset: IndexedDataset<T>): Promise<TokenCounts[]> {
  const counts: TokenCounts[] = []
  for (let i = 0; i < dataset.length; i++) {
    const { inputIds, labels } = (await dataset.get(i)) as Partial<Record<string, ArrayLike<number>>>
    if (inputIds === undefined) {
      throw new HeedError(
        'HEED_CONFIG_INVALID',
        `Trainer: inputIds of example ${i} is undefined, expected ids since maxTokensPerBatch is set. Tokenize the data set first.`,
      )
    }
    counts.push([inputIds.length, labels?.length ?? inputIds.length])
  }
  return counts
}

/**
 * Batches of one epoch, of each process where there are several: batches at the end that are not enough for all are left
 * out. Undefined for a stream, which ends when it ends.
 */
export function batchesPerEpoch<T>({ order, share }: BatchPlan<T>): number | undefined {
  return order && Math.floor(order.numBatches / share.size)
}

/** Updates of one epoch; the last may have fewer batches. */
export function updatesPerEpoch<T>(plan: BatchPlan<T>): number | undefined {
  const batches = batchesPerEpoch(plan)
  return batches === undefined ? undefined : Math.ceil(batches / plan.accumulation)
}

/** The examples of each batch of an epoch, from a batch on; those of other processes' batches are not read. */
async function* examplesOf<T>(
  dataset: DatasetLike<T>,
  plan: BatchPlan<T>,
  epoch: number,
  from: number,
): AsyncGenerator<T[]> {
  const { batchSize, dropLast, share } = plan
  let examples: T[] = []
  if (!isStream(dataset)) {
    const order = plan.order!
    const end = batchesPerEpoch(plan)! * share.size
    for (let batch = from + share.rank; batch < end; batch += share.size) {
      for (const index of order.examples(epoch, batch)) examples.push(await dataset.get(index))
      yield examples
      examples = []
    }
    return
  }
  const together = batchSize * share.size // a stream is read by all, and its batches given out when all have one
  let position = 0
  for await (const example of passOf(dataset, epoch)) {
    if (position++ < from * batchSize) continue
    examples.push(example)
    if (examples.length < together) continue
    yield examples.slice(share.rank * batchSize, (share.rank + 1) * batchSize)
    examples = []
  }
  if (examples.length > 0 && !dropLast && share.size === 1) yield examples
}

/** The batches of each update of an epoch, from update `from` on. */
export async function* updatesOf<T>(
  dataset: DatasetLike<T>,
  plan: BatchPlan<T>,
  epoch: number,
  from = 0,
): AsyncGenerator<Batch[]> {
  const { collator, accumulation, seed, share } = plan
  const first = from * accumulation * share.size
  let number = first + share.rank
  let batches: Batch[] = []
  for await (const examples of examplesOf(dataset, plan, epoch, first)) {
    batches.push(collator(examples, hash(seed, epoch, number)))
    number += share.size
    if (batches.length < accumulation) continue
    yield batches
    batches = []
  }
  if (batches.length > 0) yield batches
}

/** Throws HEED_ARGUMENT_INVALID when a data set gives no batch. */
export function checkNotEmpty<T>(where: string, plan: BatchPlan<T>): void {
  const { order, batchSize, dropLast } = plan
  if (updatesPerEpoch(plan) !== 0) return
  throw new HeedError(
    'HEED_ARGUMENT_INVALID',
    `Trainer: ${where} has ${order!.numExamples} examples, expected at least ${dropLast ? `${batchSize}, one batch` : 'one'}. ` +
      'Give more data.',
  )
}
