import { checkOptionNames, HeedError, type HubOptions } from '@heed/tensor-backend'
import { folders } from '#folder'
import { checkChoice, namesOf } from '../checks.ts'
import { type CsvOptions, checkCsvOptions, readCsv, withNumbers } from './csv.ts'
import { Dataset } from './dataset.ts'
import { type DatasetFormat, formatNames } from './dataset-files.ts'
import { readJson } from './json.ts'
import { readLines } from './read-rows.ts'
import { type FoundFiles, type FoundSplits, findInRepository, type RepositoryPart } from './repository.ts'
import { isRelative, parseSplit, rangeOf, type SplitSlice } from './split-slices.ts'
import { IterableDataset } from './stream.ts'

/** One row of a file: values by column. */
export type Row = { [column: string]: unknown }

export interface RowReaderOptions {
  /** What to do at a line that cannot be read: end with an error (default), or leave it out. */
  onBadRow?: 'stop' | 'skip'
}

export type { DatasetFormat }

/** How the rows of files are read. */
export interface ReadRowsOptions extends CsvOptions {
  /** What a row of a text file is: a line (default), what stands between blank lines, or the whole file. */
  sampleBy?: 'line' | 'paragraph' | 'document'
}

export interface LoadDatasetOptions extends ReadRowsOptions {
  /** Paths; a `*` in the last part stands for any letters. Text, JSON lines and CSV may be packed: `.gz` or `.zst`. */
  dataFiles: string | readonly string[]
  /** All of them, `train`, by default; a part of the rows, as in HF: `train[:10%]`, `train[100:200]`, `train[-50:]`. */
  split?: string | undefined
}

/** Of a data set in a folder or on the hub: what to read, how, and how the hub is reached. */
export interface LoadRepositoryOptions extends RepositoryPart, ReadRowsOptions, HubOptions {}

/**
 * The rows of files in memory, HF's `load_dataset('json', data_files=...)`; or of a data set on the hub or in a folder, as
 * `loadDataset('user/name', { split: 'test[:10%]' })`, whose files come into HF's cache. Throws HEED_FILE_NOT_FOUND,
 * HEED_FILE_INVALID, HEED_ARGUMENT_INVALID, HEED_IO.
 */
export async function loadDataset(format: DatasetFormat, options: LoadDatasetOptions): Promise<Dataset<Row>>
export async function loadDataset(repository: string, options?: LoadRepositoryOptions): Promise<Dataset<Row>>
export async function loadDataset(source: string, options: LoadRepositoryOptions = {}): Promise<Dataset<Row>> {
  checkOptions(options)
  const splits = await findSplits(source, options)
  const rows: Row[] = []
  const read = new Map<string, Row[]>()
  for (const slice of parseSplit(options.split ?? 'train', splits)) {
    const found = splits.filesOf(slice.split)
    if (found.format !== 'csv' && !isRelative(slice)) {
      for await (const [row] of rowsOfSlice(found, slice, options)) rows.push(row)
      continue
    }
    // all of the split has to be seen: its rows are counted, and numbers in CSV are told by the whole column
    let all = read.get(slice.split)
    if (!all) {
      all = []
      for await (const [row] of rowsOf(found, options)) all.push(row)
      if (found.format === 'csv') all = withNumbers(all)
      read.set(slice.split, all)
    }
    for (const row of all.slice(...rangeOf(slice, all.length))) rows.push(row)
  }
  return new Dataset(rows)
}

/**
 * The rows of files as they are read, `load_dataset(..., streaming=True)`: for data larger than memory. Of a data set on
 * the hub a file is downloaded when its turn comes. A slice by percentages or from the end is read twice, to count the rows
 * first, unless the files are Parquet. CSV values stay text.
 */
export function streamDataset(format: DatasetFormat, options: LoadDatasetOptions): IterableDataset<Row>
export function streamDataset(repository: string, options?: LoadRepositoryOptions): IterableDataset<Row>
export function streamDataset(source: string, options: LoadRepositoryOptions = {}): IterableDataset<Row> {
  checkOptions(options)
  return new IterableDataset(async function* () {
    const splits = await findSplits(source, options)
    for (const slice of parseSplit(options.split ?? 'train', splits)) {
      for await (const [row] of rowsOfSlice(splits.filesOf(slice.split), slice, options)) yield row
    }
  })
}

const known = namesOf<LoadDatasetOptions & LoadRepositoryOptions>({
  ...{ dataFiles: true, split: true, config: true, delimiter: true, columnNames: true, sampleBy: true, onBadRow: true },
  ...{ revision: true, endpoint: true, token: true, cacheDir: true, onDownload: true },
})

function checkOptions(options: ReadRowsOptions): void {
  checkOptionNames('loadDataset', options, known)
  const { sampleBy = 'line', onBadRow = 'stop' } = options
  checkCsvOptions('loadDataset', options)
  checkChoice('loadDataset', 'sampleBy', sampleBy, ['line', 'paragraph', 'document'])
  checkChoice('loadDataset', 'onBadRow', onBadRow, ['stop', 'skip'])
}

const isFormat = (source: string): source is DatasetFormat => formatNames.some(format => format === source)

/** The splits of files or of a data set. Throws as `loadDataset`. */
export async function findSplits(source: string, options: LoadRepositoryOptions): Promise<FoundSplits> {
  if (!isFormat(source)) return findInRepository(source, options, options)
  const found = { format: source, files: await expandFiles(options.dataFiles), locate: async (file: string) => file }
  return { where: 'loadDataset', names: ['train'], filesOf: () => found }
}

async function* rowsOf(
  { format, files, delimiter, locate }: FoundFiles,
  options: ReadRowsOptions,
): AsyncGenerator<[row: Row, file: string]> {
  const all = delimiter === undefined ? options : { delimiter, ...options }
  for (const name of files) {
    const file = await locate(name)
    for await (const row of await readRows(format, file, all)) yield [row, file]
  }
}

/** The rows of a slice, each with the file that it is in. Throws as `loadDataset`. */
export async function* rowsOfSlice(
  found: FoundFiles,
  slice: SplitSlice,
  options: ReadRowsOptions,
): AsyncGenerator<[row: Row, file: string]> {
  const [from, to] = rangeOf(slice, isRelative(slice) ? await countRows(found, options) : Number.POSITIVE_INFINITY)
  let index = 0
  if (from >= to) return
  for await (const row of rowsOf(found, options)) {
    if (index++ >= from) yield row
    if (index >= to) return
  }
}

async function countRows(found: FoundFiles, options: ReadRowsOptions): Promise<number> {
  let count = 0
  if (found.format === 'parquet') {
    const { countParquet } = await import('./parquet.ts')
    for (const name of found.files) count += await countParquet(await found.locate(name))
  } else for await (const _row of rowsOf(found, options)) count++
  return count
}

/** The readers of formats that are libraries of their own are loaded when they are needed. */
async function readRows(format: DatasetFormat, file: string, options: ReadRowsOptions): Promise<AsyncIterable<Row>> {
  switch (format) {
    case 'text':
      return readTextRows(file, options.sampleBy ?? 'line')
    case 'json':
      return readJson(file, options)
    case 'csv':
      return readCsv(file, options)
    case 'parquet':
      return (await import('./parquet.ts')).readParquet(file)
    case 'arrow':
      return (await import('./arrow.ts')).readArrow(file)
  }
}

async function* readTextRows(file: string, sampleBy: 'line' | 'paragraph' | 'document'): AsyncGenerator<Row> {
  let lines: string[] = []
  for await (const [line] of readLines(file)) {
    if (sampleBy === 'line') yield { text: line }
    else if (sampleBy === 'document' || line.trim() !== '') lines.push(line)
    else if (lines.length > 0) {
      yield { text: lines.join('\n') }
      lines = []
    }
  }
  if (lines.length > 0) yield { text: lines.join('\n') }
}

/** Paths with their `*` filled in, sorted. Throws HEED_ARGUMENT_INVALID, HEED_FILE_NOT_FOUND when none fits. */
async function expandFiles(dataFiles: string | readonly string[] | undefined): Promise<string[]> {
  if (dataFiles === undefined) {
    throw new HeedError('HEED_ARGUMENT_INVALID', 'loadDataset: dataFiles is undefined, expected a path or several.')
  }
  const files: string[] = []
  for (const path of [dataFiles].flat() as string[]) {
    if (!path.includes('*')) {
      files.push(path)
      continue
    }
    const slash = path.lastIndexOf('/')
    const folder = slash < 0 ? '.' : path.slice(0, slash)
    const parts = path
      .slice(slash + 1)
      .split('*')
      .map(part => part.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&'))
    const pattern = new RegExp(`^${parts.join('.*')}$`)
    const names = (await folders.list(folder)).filter(name => pattern.test(name)).sort()
    if (names.length === 0) {
      throw new HeedError(
        'HEED_FILE_NOT_FOUND',
        `loadDataset: dataFiles is "${path}", expected a pattern that fits some file.`,
      )
    }
    files.push(...names.map(name => `${folder}/${name}`))
  }
  return files
}
