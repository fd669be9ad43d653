import { HeedError } from '@heed/tensor-backend'
import { show } from '../checks.ts'
import type { Row, RowReaderOptions } from './load-dataset.ts'
import { readLines, readTextChunks } from './read-rows.ts'

/**
 * The objects of a file with one JSON value a line, or of a file that is one JSON list, which is then in memory as a whole.
 * Throws HEED_FILE_INVALID naming the line, or the place in the list.
 */
export async function* readJson(file: string, { onBadRow = 'stop' }: RowReaderOptions = {}): AsyncGenerator<Row> {
  for await (const { value, place } of (await beginsWithBracket(file)) ? valuesOfList(file) : valuesOfLines(file)) {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) yield value as Row
    else if (onBadRow === 'stop') {
      throw new HeedError(
        'HEED_FILE_INVALID',
        `${file}: ${place} is ${shown(value)}, expected a JSON object. Mend it, or set onBadRow to 'skip'.`,
      )
    }
  }
}

interface FoundValue {
  /** What was parsed, or the text that could not be. */
  value: unknown
  place: string
}

async function beginsWithBracket(file: string): Promise<boolean> {
  for await (const text of readTextChunks(file)) if (text.trim() !== '') return text.trimStart().startsWith('[')
  return false
}

async function* valuesOfLines(file: string): AsyncGenerator<FoundValue> {
  for await (const [line, number] of readLines(file)) {
    if (line.trim() !== '') yield { value: parsed(line), place: `line ${number}` }
  }
}

async function* valuesOfList(file: string): AsyncGenerator<FoundValue> {
  let values: unknown[]
  try {
    let text = ''
    for await (const chunk of readTextChunks(file)) text += chunk
    values = JSON.parse(text)
  } catch (cause) {
    if (cause instanceof HeedError) throw cause
    throw new HeedError(
      'HEED_FILE_INVALID',
      `${file}: it begins as a JSON list and cannot be read as one: ${(cause as Error).message}. Mend it, or write one object a line.`,
      { cause },
    )
  }
  for (const [i, value] of values.entries()) yield { value, place: `value ${i + 1} of the list` }
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return line
  }
}

/** A value as it stands in a message, long ones cut. */
function shown(value: unknown): string {
  return typeof value === 'string' && value.length > 60 ? `${show(value.slice(0, 60)).slice(0, -1)}..."` : show(value)
}
