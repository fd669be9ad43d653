import { type ByteSource, HeedError, openByteSource } from '@heed/tensor-backend'
import { type AsyncBuffer, parquetMetadataAsync, parquetReadObjects } from 'hyparquet'
import { compressors } from 'hyparquet-compressors'
import type { Row } from './load-dataset.ts'
import { plainValue } from './plain-value.ts'

/** The rows of a Parquet file, one row group in memory at a time; 64-bit integers as numbers. Throws HEED_FILE_INVALID. */
export async function* readParquet(path: string): AsyncGenerator<Row> {
  const source = await openByteSource(path)
  const file = asyncBuffer(source)
  try {
    const metadata = await attempt(path, () => parquetMetadataAsync(file))
    let rowStart = 0
    for (const group of metadata.row_groups) {
      const rowEnd = rowStart + Number(group.num_rows)
      const from = rowStart
      const rows = await attempt(path, () =>
        parquetReadObjects({ file, metadata, compressors, rowStart: from, rowEnd }),
      )
      for (const row of rows) yield plainValue(row) as Row
      rowStart = rowEnd
    }
  } finally {
    await source.close()
  }
}

/** How many rows a Parquet file has, by its footer. Throws HEED_FILE_INVALID. */
export async function countParquet(path: string): Promise<number> {
  const source = await openByteSource(path)
  try {
    const { num_rows: numRows } = await attempt(path, () => parquetMetadataAsync(asyncBuffer(source)))
    return Number(numRows)
  } finally {
    await source.close()
  }
}

function asyncBuffer(source: ByteSource): AsyncBuffer {
  return {
    byteLength: source.byteLength,
    slice: async (start, end = source.byteLength) => {
      const from = start < 0 ? Math.max(0, source.byteLength + start) : start
      const bytes = await source.read(from, Math.min(end, source.byteLength) - from)
      return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer
    },
  }
}

async function attempt<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new HeedError('HEED_FILE_INVALID', `${path}: it cannot be read as Parquet: ${reason}.`, { cause })
  }
}
