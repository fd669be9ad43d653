import type { DatasetFormat } from '@heed/trainer'

/** How files are read, by their endings. */
const formats: ReadonlyArray<[ending: RegExp, format: DatasetFormat]> = [
  [/\.jsonl?(\.(gz|zst))?$/i, 'json'],
  [/\.[ct]sv(\.(gz|zst))?$/i, 'csv'],
  [/\.parquet$/i, 'parquet'],
  [/\.arrow$/i, 'arrow'],
]

/** The format that a file's name tells; none for plain text. */
export const formatOf = (file: string): DatasetFormat | undefined => formats.find(([ending]) => ending.test(file))?.[1]
