import { HeedError } from '@heed/tensor-backend'
import { folders } from '#folder'
import { checkChoice } from '../checks.ts'
import { readArrow } from './arrow.ts'
import { type CsvOptions, readCsv, withNumbers } from './csv.ts'
import { Dataset } from './dataset.ts'
import { readJsonLines } from './jsonl.ts'
import { readParquet } from './parquet.ts'
import { readLines } from './read-rows.ts'
import { IterableDataset } from './stream.ts'

/** One row of a file: values by column. */
export type Row = { [column: string]: unknown }

export interface RowReaderOptions {
  /** What to do at a line that cannot be read: end with an error (default), or leave it out. */
  onBadRow?: 'stop' | 'skip'
}

const formats = ['text', 'json', 'csv', 'parquet', 'arrow'] as const
export type DatasetFormat = (typeof formats)[number]

export interface LoadDatasetOptions extends CsvOptions {
  /** Paths; a `*` in the last part stands for any letters. Text, JSON lines and CSV may be packed: `.gz` or `.zst`. */
  dataFiles: string | readonly string[]
  /** What a row of a text file is: a line (default), what stands between blank lines, or the whole file. */
  sampleBy?: 'line' | 'paragraph' | 'document'
}

/** The rows of files in memory, HF's `load_dataset('json', data_files=...)`. Throws HEED_FILE_NOT_FOUND, HEED_FILE_INVALID, HEED_IO. */
export async function loadDataset(format: DatasetFormat, options: LoadDatasetOptions): Promise<Dataset<Row>> {
  const rows: Row[] = []
  for await (const row of streamDataset(format, options)) rows.push(row)
  return new Dataset(format === 'csv' ? withNumbers(rows) : rows)
}

/** The rows of files as they are read, `load_dataset(..., streaming=True)`: for data larger than memory. CSV values stay text. */
export function streamDataset(format: DatasetFormat, options: LoadDatasetOptions): IterableDataset<Row> {
  checkChoice('loadDataset', 'format', format, formats)
  checkChoice('loadDataset', 'sampleBy', options.sampleBy ?? 'line', ['line', 'paragraph', 'document'])
  return new IterableDataset(async function* () {
    for (const file of await expandFiles(options.dataFiles)) yield* readRows(format, file, options)
  })
}

function readRows(format: DatasetFormat, file: string, options: LoadDatasetOptions): AsyncIterable<Row> {
  switch (format) {
    case 'text':
      return readTextRows(file, options.sampleBy ?? 'line')
    case 'json':
      return readJsonLines(file, options)
    case 'csv':
      return readCsv(file, options)
    case 'parquet':
      return readParquet(file)
    case 'arrow':
      return readArrow(file)
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

/** Paths with their `*` filled in, sorted. Throws HEED_FILE_NOT_FOUND when none fits. */
async function expandFiles(dataFiles: string | readonly string[]): Promise<string[]> {
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
