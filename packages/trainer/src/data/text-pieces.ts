import { HeedError } from '@heed/tensor-backend'
import { show } from '../checks.ts'
import { type DatasetFormat, streamDataset } from './load-dataset.ts'
import { readTextChunks } from './read-rows.ts'

/** Texts to be tokenised together. All but possibly the last are whole documents, or the ends of them. */
export interface TextPieces {
  texts: string[]
  endsLast: boolean
}

/** Characters in a batch: enough to make a message between threads cheap. */
const batchLength = 2 ** 18

/**
 * The text of files in pieces of some 256 KB, for data larger than memory. A text file is one document, cut only between
 * lines where the next begins with a letter, which no tokenizer joins with what stands before; in other formats a row is one,
 * by its column `textColumn`. Throws HEED_FILE_NOT_FOUND, HEED_FILE_INVALID.
 */
export async function* readTextPieces(
  format: DatasetFormat,
  files: readonly string[],
  textColumn = 'text',
): AsyncGenerator<TextPieces> {
  for (const file of files) {
    if (format === 'text') yield* piecesOfText(file)
    else yield* piecesOfRows(format, file, textColumn)
  }
}

async function* piecesOfText(file: string): AsyncGenerator<TextPieces> {
  let rest = ''
  for await (const chunk of readTextChunks(file)) {
    rest += chunk
    while (rest.length >= batchLength) {
      const cut = lastCut(rest, batchLength)
      if (cut <= 0) break
      yield { texts: [rest.slice(0, cut)], endsLast: false }
      rest = rest.slice(cut)
    }
  }
  yield { texts: [rest], endsLast: true }
}

/** The last place before `end` at which a line begins with a letter; 0 when there is none. */
function lastCut(text: string, end: number): number {
  let lineEnd = text.lastIndexOf('\n', end - 2)
  while (lineEnd > 0 && !/^\p{L}/u.test(text.slice(lineEnd + 1, lineEnd + 3)))
    lineEnd = text.lastIndexOf('\n', lineEnd - 1)
  return Math.max(0, lineEnd + 1)
}

async function* piecesOfRows(format: DatasetFormat, file: string, textColumn: string): AsyncGenerator<TextPieces> {
  let texts: string[] = []
  let length = 0
  for await (const row of streamDataset(format, { dataFiles: file })) {
    const text = row[textColumn]
    if (typeof text !== 'string') {
      throw new HeedError(
        'HEED_FILE_INVALID',
        `${file}: ${textColumn} is ${show(text)}, expected text in every row. The columns are ${Object.keys(row).join(', ')}.`,
      )
    }
    if (text === '') continue
    texts.push(text)
    length += text.length
    if (length < batchLength) continue
    yield { texts, endsLast: true }
    texts = []
    length = 0
  }
  if (texts.length > 0) yield { texts, endsLast: true }
}
