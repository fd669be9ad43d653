import { HeedError } from '@heed/tensor-backend'
import { show } from '../checks.ts'
import { type DatasetFormat, findSplits, type LoadRepositoryOptions, type Row, rowsOfSlice } from './load-dataset.ts'
import { readTextChunks } from './read-rows.ts'
import { isPart, parseSplit } from './split-slices.ts'

/** Texts to be tokenised together. All but possibly the last are whole documents, or the ends of them. */
export interface TextPieces {
  texts: string[]
  endsLast: boolean
}

/** Characters in a batch: enough to make a message between threads cheap. */
const batchLength = 2 ** 18
/** Characters that are kept in memory at most, looking for a cut. */
const maxLength = 2 ** 22

/**
 * The text of files in pieces of some 256 KB, for data larger than memory. A text file is one document, cut between lines
 * where the next begins with a letter, which no tokenizer joins with what stands before; where 4 MB hold no such line, at the
 * start of another line, else before a word. In other formats a row is a document, by its column `textColumn`. `split` may be
 * a part of the rows, or of the lines of a text, such as `train[:10%]`. Throws
 * HEED_FILE_NOT_FOUND, HEED_FILE_INVALID, also at 4 MB without any of these.
 */
export async function* readTextPieces(
  format: DatasetFormat,
  files: readonly string[],
  textColumn = 'text',
  split = 'train',
): AsyncGenerator<TextPieces> {
  yield* piecesOfSplit(format, { dataFiles: files, split }, textColumn)
}

/**
 * The text of splits of a data set in a folder or on the hub, or of parts of them, in pieces as of files; a part of a text file is
 * one document too. Throws as `readTextPieces`, and HEED_ARGUMENT_INVALID when there is no such split or config.
 */
export async function* readDatasetPieces(
  location: string,
  { textColumn = 'text', ...options }: LoadRepositoryOptions & { textColumn?: string } = {},
): AsyncGenerator<TextPieces> {
  yield* piecesOfSplit(location, options, textColumn)
}

async function* piecesOfSplit(
  source: string,
  options: LoadRepositoryOptions,
  textColumn: string,
): AsyncGenerator<TextPieces> {
  const splits = await findSplits(source, options)
  for (const slice of parseSplit(options.split ?? 'train', splits)) {
    const found = splits.filesOf(slice.split)
    const rows = rowsOfSlice(found, slice, options)
    if (found.format !== 'text') yield* piecesOfRows(rows, textColumn)
    else if (isPart(slice)) yield* piecesOfLines(rows)
    else {
      for (const name of found.files) {
        const file = await found.locate(name)
        yield* piecesOfText(readTextChunks(file), file)
      }
    }
  }
}

/** Lines of files as the text that they were. */
async function* piecesOfLines(rows: AsyncGenerator<[row: Row, file: string]>): AsyncGenerator<TextPieces> {
  let next = await rows.next()
  while (!next.done) {
    const [, file] = next.value
    const lines = async function* (): AsyncGenerator<string> {
      for (; !next.done && next.value[1] === file; next = await rows.next()) yield `${next.value[0].text}\n`
    }
    yield* piecesOfText(lines(), file)
  }
}

async function* piecesOfText(chunks: AsyncIterable<string>, file: string): AsyncGenerator<TextPieces> {
  let rest = ''
  let searched = 0 // before it no line begins with a letter
  for await (const chunk of chunks) {
    rest += chunk
    while (rest.length >= searched + batchLength) {
      let cut = lastLetterLine(rest, searched, searched + batchLength)
      if (cut === 0) {
        searched += batchLength - 2 // the line end and half of the letter may stand there
        if (searched < maxLength) continue
        cut = lastLineOrWord(rest, file)
      }
      yield { texts: [rest.slice(0, cut)], endsLast: false }
      rest = rest.slice(cut)
      searched = 0
    }
  }
  if (rest !== '') yield { texts: [rest], endsLast: true } // an empty file is no document
}

const isLetter = (text: string, at: number): boolean => /^\p{L}/u.test(text.slice(at, at + 2))

/** The last place from `start` to `end` at which a line begins with a letter; 0 when there is none. */
function lastLetterLine(text: string, start: number, end: number): number {
  for (let at = end - 2; at > start; at--) {
    at = text.lastIndexOf('\n', at - 1) + 1
    if (at > start && isLetter(text, at)) return at
  }
  return 0
}

/** The last place at which a line begins or a word follows on a word. Throws HEED_FILE_INVALID when there is none. */
function lastLineOrWord(text: string, file: string): number {
  const line = text.lastIndexOf('\n', text.length - 2) + 1
  if (line > 0) return line
  for (let at = text.length - 3; at > 0; at--) {
    at = text.lastIndexOf(' ', at)
    if (at > 0 && isLetter(text, at - 1) && isLetter(text, at + 1)) return at
  }
  throw new HeedError(
    'HEED_FILE_INVALID',
    `${file}: ${text.length} characters have no line end and no space between words, expected text. Break it into lines.`,
  )
}

async function* piecesOfRows(
  rows: AsyncIterable<[row: Row, file: string]>,
  textColumn: string,
): AsyncGenerator<TextPieces> {
  let texts: string[] = []
  let length = 0
  for await (const [row, file] of rows) {
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
