import { Random } from '@heed/layers'
import { checkOptionNames, HeedError } from '@heed/tensor-backend'
import { checkChoice, checkCount, checkNumber, checkSeed, namesOf, show } from '../checks.ts'
import { hash } from '../random.ts'
import { checkDatasets, Dataset } from './dataset.ts'
import { type BatchFunction, type BatchOptions, batchOf, batchOptions, type RowFunction } from './map-rows.ts'
import { passOf, type StreamDataset } from './sources.ts'

/** Rows that are read as they are needed, again from the start each time: HF's `IterableDataset`. */
export class IterableDataset<T> implements StreamDataset<T> {
  readonly #start: (epoch: number) => AsyncIterable<T> | Iterable<T>

  /** `start` begins a new pass over the rows; the epoch is what an order at random depends on beside its seed. */
  constructor(start: (epoch: number) => AsyncIterable<T> | Iterable<T>) {
    this.#start = start
  }

  [Symbol.asyncIterator](): AsyncGenerator<T> {
    return this.pass(0)
  }

  /** The rows as they come in an epoch: what is shuffled, in another order in each; HF's `set_epoch`. */
  async *pass(epoch: number): AsyncGenerator<T> {
    yield* this.#start(epoch)
  }

  /** A row for each row; with `batched`, any number of rows for each batch of rows. Throws HEED_ARGUMENT_INVALID. */
  map<U, Args>(change: RowFunction<T, U, Args>, options?: BatchOptions<Args> & { batched?: false }): IterableDataset<U>
  map<U, Args>(change: BatchFunction<T, U, Args>, options: BatchOptions<Args> & { batched: true }): IterableDataset<U>
  map<U>(change: (...given: never[]) => unknown, options: BatchOptions = {}): IterableDataset<U> {
    checkOptionNames('IterableDataset.map', options, batchOptions)
    const { batched = false, batchSize = 1000, fnKwargs } = options
    checkNumber('IterableDataset.map', 'batchSize', batchSize, { min: 1, isInteger: true })
    const source = this
    const run = change as (...given: unknown[]) => unknown
    return new IterableDataset(async function* (epoch) {
      let index = 0
      if (!batched) {
        for await (const row of source.pass(epoch)) yield (await run(row, index++, fnKwargs)) as U
        return
      }
      for await (const rows of batches(source.pass(epoch), batchSize)) {
        yield* batchOf(await run(rows, rows.map(() => index++), fnKwargs)) as U[] // biome-ignore format: one call
      }
    })
  }

  /** Any number of rows for each row: a document to its blocks. */
  flatMap<U>(change: (row: T) => Iterable<U> | AsyncIterable<U>): IterableDataset<U> {
    const source = this
    return new IterableDataset(async function* (epoch) {
      for await (const row of source.pass(epoch)) yield* change(row)
    })
  }

  filter(keep: (row: T) => boolean | Promise<boolean>): IterableDataset<T> {
    const source = this
    return new IterableDataset(async function* (epoch) {
      for await (const row of source.pass(epoch)) if (await keep(row)) yield row
    })
  }

  /** The first rows; all when there are fewer. Throws HEED_ARGUMENT_INVALID. */
  take(count: number): IterableDataset<T> {
    checkCount('IterableDataset.take', count)
    const source = this
    return new IterableDataset(async function* (epoch) {
      let taken = 0
      if (count > 0) {
        for await (const row of source.pass(epoch)) {
          yield row
          if (++taken >= count) return
        }
      }
    })
  }

  /** All rows but the first. Throws HEED_ARGUMENT_INVALID. */
  skip(count: number): IterableDataset<T> {
    checkCount('IterableDataset.skip', count)
    const source = this
    return new IterableDataset(async function* (epoch) {
      let seen = 0
      for await (const row of source.pass(epoch)) if (seen++ >= count) yield row
    })
  }

  /**
   * Gives rows at random out of a buffer that is kept full: the larger, the better mixed. Same seed and epoch, same order. Throws
   * HEED_ARGUMENT_INVALID.
   */
  shuffle(options: { seed?: number; bufferSize?: number } = {}): IterableDataset<T> {
    checkOptionNames('IterableDataset.shuffle', options, ['seed', 'bufferSize'])
    const { seed = 42, bufferSize = 1000 } = options
    checkSeed('IterableDataset.shuffle', seed)
    checkNumber('IterableDataset.shuffle', 'bufferSize', bufferSize, { min: 1, isInteger: true })
    const source = this
    return new IterableDataset(async function* (epoch) {
      const random = new Random(seedOf(seed, epoch))
      const buffer: T[] = []
      for await (const row of source.pass(epoch)) {
        if (buffer.length < bufferSize) {
          buffer.push(row)
          continue
        }
        const place = random.uint32() % bufferSize
        yield buffer[place]!
        buffer[place] = row
      }
      while (buffer.length > 0) {
        const place = random.uint32() % buffer.length
        yield buffer[place]!
        buffer[place] = buffer.at(-1)!
        buffer.pop()
      }
    })
  }

  /** Reads all rows into memory. */
  async toDataset(): Promise<Dataset<T>> {
    const rows: T[] = []
    for await (const row of this) rows.push(row)
    return new Dataset(rows)
  }
}

const seedOf = (seed: number, epoch: number): number => (epoch === 0 ? seed : hash(seed, epoch))

async function* batches<T>(rows: AsyncIterable<T>, batchSize: number): AsyncGenerator<T[]> {
  let batch: T[] = []
  for await (const row of rows) {
    batch.push(row)
    if (batch.length < batchSize) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}

const where = 'interleaveDatasets'

export interface InterleaveOptions {
  /** How often each data set has its turn; all alike, one after the other, when left out. */
  probabilities?: readonly number[]
  seed?: number
  /** When to end: with the first data set that is used up (default), or when all are, those that end early starting again. */
  stoppingStrategy?: 'first_exhausted' | 'all_exhausted'
}

const interleaveOptions = namesOf<InterleaveOptions>({ probabilities: true, seed: true, stoppingStrategy: true })

/**
 * Rows of several data sets by turns: HF's `interleave_datasets`. Throws HEED_ARGUMENT_INVALID, also when it is iterated and
 * a data set that is to start again cannot.
 */
export function interleaveDatasets<T>(
  datasets: readonly (Iterable<T> | AsyncIterable<T>)[],
  options: InterleaveOptions = {},
): IterableDataset<T> {
  checkDatasets(where, datasets)
  checkOptionNames(where, options, interleaveOptions)
  const { probabilities, seed = 42, stoppingStrategy = 'first_exhausted' } = options
  checkSeed(where, seed)
  checkChoice(where, 'stoppingStrategy', stoppingStrategy, ['first_exhausted', 'all_exhausted'])
  if (probabilities !== undefined) checkProbabilities(probabilities, datasets.length)
  return new IterableDataset(async function* (epoch) {
    const random = new Random(seedOf(seed, epoch))
    const begin = (i: number): AsyncIterator<T> => new IterableDataset(() => passOf(datasets[i]!, epoch)).pass(0)
    const readers = datasets.map((_, i) => begin(i))
    try {
      const next = await Promise.all(readers.map(reader => reader.next()))
      if (next.some(({ done }) => done)) return // a data set without rows
      const ended = new Set<number>()
      for (let turn = 1; ; turn++) {
        const i = probabilities ? chosen(probabilities, random.uniform()) : (turn - 1) % datasets.length
        yield next[i]!.value
        next[i] = await readers[i]!.next()
        if (next[i]!.done) ended.add(i)
        const isOver = stoppingStrategy === 'first_exhausted' ? ended.size > 0 : ended.size === datasets.length
        if (isOver && (probabilities || turn % datasets.length === 0)) return
        if (!next[i]!.done) continue
        readers[i] = begin(i)
        next[i] = await readers[i]!.next()
        if (next[i]!.done) throw usedUp(i)
      }
    } finally {
      await Promise.all(readers.map(reader => reader.return?.()))
    }
  })
}

function checkProbabilities(probabilities: readonly number[], count: number): void {
  if (Array.isArray(probabilities) && probabilities.length === count) {
    const total = probabilities.reduce((sum, share) => sum + share, 0)
    if (probabilities.every(share => share >= 0) && Math.abs(total - 1) < 1e-6) return
  }
  throw new HeedError(
    'HEED_ARGUMENT_INVALID',
    `${where}: probabilities are ${show(probabilities)}, expected ${count} numbers of at least 0 whose sum is 1. ` +
      'Give one for each data set, or leave them out to take turns.',
  )
}

function usedUp(index: number): HeedError {
  return new HeedError(
    'HEED_ARGUMENT_INVALID',
    `${where}: data set ${index} gave no row when it was iterated again, expected it to start anew. Give a Dataset or an IterableDataset.`,
  )
}

function chosen(probabilities: readonly number[], uniform: number): number {
  let sum = 0
  for (const [i, share] of probabilities.entries()) {
    sum += share
    if (uniform < sum) return i
  }
  return probabilities.length - 1
}
