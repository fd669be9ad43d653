import { HeedError } from '@heed/tensor-backend'
import type { TrainingArguments } from '../arguments.ts'
import { hash } from '../random.ts'
import type { Batch } from './batch.ts'
import type { Collator } from './collators.ts'
import { randomSampler, type Sampler, sequentialSampler } from './sampler.ts'
import { type DatasetLike, isStream } from './sources.ts'

export interface BatchPlan<T> {
  collator: Collator<T>
  batchSize: number
  /** Batches of one update. */
  accumulation: number
  dropLast: boolean
  seed: number
  /** Of data sets with a length. */
  sampler: Sampler | undefined
}

/** The order and sizes that training arguments ask for. */
export function batchPlan<T>(
  dataset: DatasetLike<T>,
  collator: Collator<T>,
  args: Pick<
    TrainingArguments,
    'perDeviceTrainBatchSize' | 'gradientAccumulationSteps' | 'dataloaderDropLast' | 'seed' | 'dataSeed' | 'shuffle'
  >,
): BatchPlan<T> {
  const order = (length: number): Sampler =>
    args.shuffle ? randomSampler(length, args.dataSeed ?? args.seed) : sequentialSampler(length)
  return {
    collator,
    batchSize: args.perDeviceTrainBatchSize,
    accumulation: args.gradientAccumulationSteps,
    dropLast: args.dataloaderDropLast,
    seed: args.seed,
    sampler: isStream(dataset) ? undefined : order(dataset.length),
  }
}

/** Batches of one epoch; undefined for a stream, which ends when it ends. */
export function batchesPerEpoch<T>({ sampler, batchSize, dropLast }: BatchPlan<T>): number | undefined {
  if (!sampler) return undefined
  return dropLast ? Math.floor(sampler.length / batchSize) : Math.ceil(sampler.length / batchSize)
}

/** Updates of one epoch; the last may have fewer batches. */
export function updatesPerEpoch<T>(plan: BatchPlan<T>): number | undefined {
  const batches = batchesPerEpoch(plan)
  return batches === undefined ? undefined : Math.ceil(batches / plan.accumulation)
}

/** Examples in the order of an epoch, from a position on. */
async function* examplesOf<T>(
  dataset: DatasetLike<T>,
  sampler: Sampler | undefined,
  epoch: number,
  from: number,
): AsyncGenerator<T> {
  if (isStream(dataset)) {
    let position = 0
    for await (const example of dataset) if (position++ >= from) yield example
    return
  }
  for (let position = from; position < sampler!.length; position++) yield dataset.get(sampler!.index(epoch, position))
}

/** The batches of each update of an epoch, from update `from` on. */
export async function* updatesOf<T>(
  dataset: DatasetLike<T>,
  plan: BatchPlan<T>,
  epoch: number,
  from = 0,
): AsyncGenerator<Batch[]> {
  const { collator, batchSize, accumulation, dropLast, seed, sampler } = plan
  let position = from * accumulation * batchSize
  let batches: Batch[] = []
  let examples: T[] = []
  const collate = (): void => {
    batches.push(collator(examples, hash(seed, epoch, position)))
    position += examples.length
    examples = []
  }
  for await (const example of examplesOf(dataset, sampler, epoch, position)) {
    examples.push(example)
    if (examples.length < batchSize) continue
    collate()
    if (batches.length < accumulation) continue
    yield batches
    batches = []
  }
  if (examples.length > 0 && !dropLast) collate()
  if (batches.length > 0) yield batches
}

/** Throws HEED_ARGUMENT_INVALID when a data set gives no batch. */
export function checkNotEmpty<T>(where: string, plan: BatchPlan<T>): void {
  const { sampler, batchSize } = plan
  if (updatesPerEpoch(plan) !== 0) return
  throw new HeedError(
    'HEED_ARGUMENT_INVALID',
    `Trainer: ${where} has ${sampler!.length} examples, expected at least ${plan.dropLast ? `${batchSize}, one batch` : 'one'}. ` +
      'Give more data.',
  )
}
