import { checkOptionNames, HeedError } from '@heed/tensor-backend'
import { checkCount, checkIndex, checkSeed, namesOf, show } from '../checks.ts'
import { hash, permuted } from '../random.ts'
import {
  type AnyMapFunction,
  type BatchFunction,
  hashOf,
  type MapOptions,
  mapRows,
  type RowFunction,
} from './map-rows.ts'
import { rowToText } from './row-text.ts'
import type { IndexedDataset } from './sources.ts'

export interface SplitOptions {
  /** A part of the rows below 1, or their number; 0.25 by default, as in HF. */
  testSize?: number
  seed?: number
  /** True by default. */
  shuffle?: boolean
}

const splitOptions = namesOf<SplitOptions>({ testSize: true, seed: true, shuffle: true })

/** Rows in memory, or views of them: HF's `Dataset`. It never changes; each method gives a new one. */
export class Dataset<T> implements IndexedDataset<T> {
  readonly #rows: readonly T[]
  readonly #order: Uint32Array | undefined
  #fingerprint: string | undefined

  /** The rows in the order of `order`, or in their own. A fingerprint that is not given is made of the rows. */
  constructor(rows: readonly T[], order?: Uint32Array, fingerprint?: string) {
    this.#rows = rows
    this.#order = order
    this.#fingerprint = fingerprint
  }

  static from<T>(rows: Iterable<T>): Dataset<T> {
    return new Dataset(Array.from(rows))
  }

  get length(): number {
    return this.#order?.length ?? this.#rows.length
  }

  /** Throws HEED_ID_OUT_OF_RANGE. */
  get(index: number): T {
    checkIndex('Dataset', index, this.length)
    return this.#rows[this.#order?.[index] ?? index]!
  }

  *[Symbol.iterator](): Generator<T> {
    for (let i = 0; i < this.length; i++) yield this.get(i)
  }

  /**
   * A row for each row; with `batched`, any number of rows for each batch of rows: for grouping, and for splitting long
   * texts. `change` may be the URL of a module whose default export is the function, which `numProc` threads then share.
   * With `cacheFile` or `cacheFolder` it is not computed twice: see there what of a function is compared, and what is not.
   * Throws HEED_ARGUMENT_INVALID, HEED_FILE_INVALID, HEED_IO.
   */
  map<U, Args>(change: RowFunction<T, U, Args>, options?: MapOptions<Args> & { batched?: false }): Promise<Dataset<U>>
  map<U, Args>(change: BatchFunction<T, U, Args>, options: MapOptions<Args> & { batched: true }): Promise<Dataset<U>>
  map<U>(change: URL, options?: MapOptions): Promise<Dataset<U>>
  async map<U>(change: AnyMapFunction | URL, options: MapOptions = {}): Promise<Dataset<U>> {
    const source = { rows: this, length: this.length, fingerprint: () => this.fingerprint }
    const { rows, fingerprint } = await mapRows(source, change, options)
    return new Dataset(rows as U[], undefined, fingerprint)
  }

  /** Sixteen hexadecimal digits that tell its rows from others: a hash of them. Throws HEED_ARGUMENT_INVALID when a row holds what no file can. */
  get fingerprint(): string {
    this.#fingerprint ??= hashOf(rowTexts(this))
    return this.#fingerprint
  }

  async filter(keep: (row: T, index: number) => boolean | Promise<boolean>): Promise<Dataset<T>> {
    const kept: number[] = []
    for (let i = 0; i < this.length; i++) if (await keep(this.get(i), i)) kept.push(i)
    return this.select(kept)
  }

  /** The rows at these places, in this order. Throws HEED_ID_OUT_OF_RANGE. */
  select(indices: Iterable<number>): Dataset<T> {
    const order = Uint32Array.from(indices, index => {
      this.get(index)
      return this.#order?.[index] ?? index
    })
    return new Dataset(this.#rows, order)
  }

  /** The first rows; all when there are fewer. Throws HEED_ARGUMENT_INVALID. */
  take(count: number): Dataset<T> {
    checkCount('Dataset.take', count)
    return this.select(range(0, Math.min(count, this.length)))
  }

  /** All rows but the first. Throws HEED_ARGUMENT_INVALID. */
  skip(count: number): Dataset<T> {
    checkCount('Dataset.skip', count)
    return this.select(range(Math.min(count, this.length), this.length))
  }

  /** The same order for the same seed. Throws HEED_ARGUMENT_INVALID. */
  shuffle(options: { seed?: number } = {}): Dataset<T> {
    checkOptionNames('Dataset.shuffle', options, ['seed'])
    const { seed = 42 } = options
    checkSeed('Dataset.shuffle', seed)
    return this.select(range(0, this.length).map(index => permuted(index, this.length, hash(seed))))
  }

  /** Throws HEED_ARGUMENT_INVALID when a part would be empty. */
  trainTestSplit(options: SplitOptions = {}): { train: Dataset<T>; test: Dataset<T> } {
    checkOptionNames('Dataset.trainTestSplit', options, splitOptions)
    const { testSize = 0.25, seed = 42, shuffle = true } = options
    const numTest = testSize < 1 ? Math.ceil(testSize * this.length) : testSize
    if (!(Number.isInteger(numTest) && numTest > 0 && numTest < this.length)) {
      throw new HeedError(
        'HEED_ARGUMENT_INVALID',
        `Dataset.trainTestSplit: testSize is ${show(testSize)}, expected one that leaves both parts of ${this.length} rows some. Give a part below 1, or a number of rows.`,
      )
    }
    const rows = shuffle ? this.shuffle({ seed }) : this
    return { train: rows.take(this.length - numTest), test: rows.skip(this.length - numTest) }
  }
}

function* rowTexts(rows: Iterable<unknown>): Generator<string> {
  for (const row of rows) yield rowToText(row)
}

function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, i) => start + i)
}

/** Throws HEED_ARGUMENT_INVALID unless these are data sets to join: a list of what can be iterated. */
export function checkDatasets(where: string, datasets: unknown): void {
  if (!Array.isArray(datasets) || datasets.length === 0) {
    const found = Array.isArray(datasets) ? '[]' : 'no list'
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `${where}: datasets are ${found}, expected a list of at least one. Write ${where}([one, other]).`,
    )
  }
  const index = datasets.findIndex(each => {
    const isObject = typeof each === 'object' && each !== null
    return !isObject || !(Symbol.iterator in each || Symbol.asyncIterator in each)
  })
  if (index === -1) return
  throw new HeedError(
    'HEED_ARGUMENT_INVALID',
    `${where}: datasets[${index}] has no rows to iterate, expected a Dataset, an IterableDataset or a list. Load or make one of it.`,
  )
}

/** All rows of all data sets, one data set after the other. Throws HEED_ARGUMENT_INVALID without any. */
export function concatenateDatasets<T>(datasets: readonly Dataset<T>[]): Dataset<T> {
  checkDatasets('concatenateDatasets', datasets)
  return new Dataset(datasets.flatMap(dataset => [...dataset]))
}
