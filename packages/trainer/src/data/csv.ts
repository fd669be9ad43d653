import { HeedError } from '@heed/tensor-backend'
import { show } from '../checks.ts'
import type { Row, RowReaderOptions } from './load-dataset.ts'
import { readTextChunks, unpackedName } from './read-rows.ts'

export interface CsvOptions extends RowReaderOptions {
  /** `,` by default, a tab for `.tsv` files. */
  delimiter?: string
  /** The first line gives them when left out. */
  columnNames?: readonly string[]
}

interface Record {
  fields: string[]
  /** Line of the file on which it begins. */
  line: number
}

/** Records of fields, which may be quoted and then hold delimiters, line ends and doubled quotes (RFC 4180). */
async function* readRecords(chunks: AsyncIterable<string>, delimiter: string, file: string): AsyncGenerator<Record> {
  let fields: string[] = []
  let field = ''
  let [isQuoted, wasQuoted, sawQuote, sawReturn] = [false, false, false, false]
  let [line, startLine] = [1, 1]
  const endField = (): void => {
    fields.push(field)
    field = ''
    wasQuoted = false
  }
  const endRecord = (): Record => {
    endField()
    const record = { fields, line: startLine }
    fields = []
    return record
  }
  for await (const chunk of chunks) {
    for (const letter of chunk) {
      if (sawReturn) {
        sawReturn = false
        if (letter === '\n') continue // the second half of a line end
      }
      if (sawQuote) {
        // A quote inside a quoted field: doubled it is one, else the field is over.
        sawQuote = false
        if (letter === '"') {
          field += letter
          continue
        }
        isQuoted = false
      }
      if (isQuoted) {
        if (letter === '"') sawQuote = true
        else field += letter
        if (letter === '\n') line += 1
      } else if (letter === '"' && field === '' && !wasQuoted) {
        isQuoted = true
        wasQuoted = true
      } else if (letter === delimiter) endField()
      else if (letter === '\n' || letter === '\r') {
        sawReturn = letter === '\r'
        const isBlank = fields.length === 0 && field === '' && !wasQuoted
        const record = endRecord()
        line += 1
        startLine = line
        if (!isBlank) yield record
      } else field += letter
    }
  }
  if (isQuoted && !sawQuote) {
    throw new HeedError(
      'HEED_FILE_INVALID',
      `${file}: the quote that opens in the record of line ${startLine} is not closed, expected a second one. Mend the file.`,
    )
  }
  if (fields.length > 0 || field !== '' || wasQuoted) yield endRecord()
}

/** Throws HEED_ARGUMENT_INVALID at an option that cannot be. */
export function checkCsvOptions(where: string, { delimiter, columnNames }: CsvOptions): void {
  const invalid = (name: string, value: unknown, rule: string): HeedError =>
    new HeedError('HEED_ARGUMENT_INVALID', `${where}: ${name} is ${show(value)}, expected ${rule}`)
  if (delimiter !== undefined && !(typeof delimiter === 'string' && /^[^"\r\n]$/u.test(delimiter))) {
    const mend = 'Give one such as ";", or leave it out: files have "," then, those that end in .tsv a tab.'
    throw invalid('delimiter', delimiter, `one character that is no quote and no line end. ${mend}`)
  }
  const isNames = Array.isArray(columnNames) && columnNames.every(name => typeof name === 'string')
  if (columnNames !== undefined && !(isNames && columnNames.length > 0)) {
    const mend = 'Name all columns in their order, or leave it out where the first line does.'
    throw invalid('columnNames', columnNames, `a list of names such as ["text", "label"]. ${mend}`)
  }
}

/** The records of a CSV or TSV file by column; all values are text. Throws HEED_FILE_INVALID naming the line. */
export async function* readCsv(file: string, options: CsvOptions = {}): AsyncGenerator<{ [column: string]: string }> {
  const { delimiter = unpackedName(file).endsWith('.tsv') ? '\t' : ',', onBadRow = 'stop' } = options
  let columns = options.columnNames
  for await (const { fields, line } of readRecords(readTextChunks(file), delimiter, file)) {
    if (!columns) {
      columns = fields
      const twice = fields.find((name, i) => fields.indexOf(name) !== i)
      if (twice === undefined) continue
      throw new HeedError(
        'HEED_FILE_INVALID',
        `${file}: column "${twice}" appears twice, expected each name once. Rename one.`,
      )
    }
    if (fields.length === columns.length) yield Object.fromEntries(columns.map((name, i) => [name, fields[i]!]))
    else if (onBadRow === 'stop') {
      throw new HeedError(
        'HEED_FILE_INVALID',
        `${file}: line ${line} has ${fields.length} fields, expected ${columns.length} (${columns.join(', ')}). ` +
          "Mend the line, or set onBadRow to 'skip'.",
      )
    }
  }
}

const number = /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/

/** A number whose digits a double can keep. */
const isNumber = (text: string): boolean =>
  number.test(text) && (Math.abs(Number(text)) <= Number.MAX_SAFE_INTEGER || !/^[+-]?\d+$/.test(text))

/** Columns of which every value is a number as numbers: what HF makes of a CSV file. Longer integers, such as ids, stay text. */
export function withNumbers(rows: readonly Row[]): Row[] {
  const columns = Object.keys(rows[0] ?? {})
  const numeric = columns.filter(name => rows.every(row => isNumber(row[name] as string)))
  return rows.map(row => ({ ...row, ...Object.fromEntries(numeric.map(name => [name, Number(row[name])])) }))
}
