import { HeedError } from '@heed/tensor-backend'
import { show } from '../checks.ts'
import type { Row, RowReaderOptions } from './load-dataset.ts'
import { readLines } from './read-rows.ts'

/** The objects of a file with one JSON value a line. Throws HEED_FILE_INVALID naming the line. */
export async function* readJsonLines(file: string, { onBadRow = 'stop' }: RowReaderOptions = {}): AsyncGenerator<Row> {
  for await (const [line, number] of readLines(file)) {
    if (line.trim() === '') continue
    const row = parse(line)
    if (typeof row === 'object' && row !== null && !Array.isArray(row)) yield row as Row
    else if (onBadRow === 'stop') {
      throw new HeedError(
        'HEED_FILE_INVALID',
        `${file}: line ${number} is ${show(line)}, expected a JSON object. Mend the line, or set onBadRow to 'skip'.`,
      )
    }
  }
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
