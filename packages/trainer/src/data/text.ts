import { checkOptionNames, HeedError, readText } from '@heed/tensor-backend'
import { checkNumber, namesOf } from '../checks.ts'
import { PackedTokens, tokenArray } from './packed-tokens.ts'

/** What a corpus needs of a tokenizer; `Tokenizer` of `@heed/tokenizer` has it. */
export interface TextTokenizer {
  encode(text: string, options: { addSpecialTokens: boolean }): { ids: ArrayLike<number> }
}

export interface TextCorpusOptions {
  tokenizer: TextTokenizer
  blockSize: number
  /** Start to start of training examples: `blockSize` by default, 1 for every window. */
  stride?: number
  /** The part of the text, at its end, that is kept for validation; 0.1 by default. */
  validationSplit?: number
}

const corpusOptions = namesOf<TextCorpusOptions>({
  tokenizer: true,
  blockSize: true,
  stride: true,
  validationSplit: true,
})

export interface TextCorpus {
  train: PackedTokens
  /** Absent when `validationSplit` is 0. */
  validation?: PackedTokens
  numBytes: number
  numTokens: number
}

const byteLength = (text: string): number => new TextEncoder().encode(text).length

/** Splits a text where a line ends, so that at least `part` of it comes after. Throws HEED_ARGUMENT_INVALID. */
export function splitText(text: string, part: number): [string, string] {
  checkNumber('splitText', 'part', part, { min: 0, max: 1 })
  if (part === 0) return [text, '']
  const cut = Math.floor(text.length * (1 - part))
  const lineEnd = text.lastIndexOf('\n', cut)
  const isInsideLetter = /^[\ud800-\udbff][\udc00-\udfff]/.test(text.slice(Math.max(0, cut - 1), cut + 1))
  const at = lineEnd > 0 ? lineEnd + 1 : isInsideLetter ? cut - 1 : cut
  return [text.slice(0, at), text.slice(at)]
}

/** The text of files, joined in their order. Throws HEED_FILE_NOT_FOUND, HEED_FILE_INVALID when one is empty or not UTF-8. */
export async function readTextFiles(files: readonly string[]): Promise<string> {
  if (files.length === 0) {
    throw new HeedError('HEED_ARGUMENT_INVALID', 'readTextFiles: files is [], expected at least one path.')
  }
  const texts: string[] = []
  for (const file of files) {
    const text = await readText(file)
    if (text.trim() === '') {
      throw new HeedError('HEED_FILE_INVALID', `${file}: the file is empty, expected text. Check the path.`)
    }
    texts.push(text)
  }
  return texts.join('\n')
}

/** A text as packed training and validation tokens. Throws HEED_ARGUMENT_INVALID when a part is shorter than a block. */
export function textCorpus(text: string, options: TextCorpusOptions): TextCorpus {
  checkOptionNames('textCorpus', options, corpusOptions)
  const { tokenizer, blockSize, stride = blockSize, validationSplit = 0.1 } = options
  checkNumber('textCorpus', 'validationSplit', validationSplit, { min: 0, below: 1 })
  const pack = (name: string, part: string, step: number): PackedTokens => {
    const { ids } = tokenizer.encode(part, { addSpecialTokens: false })
    let highest = 0
    for (let i = 0; i < ids.length; i++) highest = Math.max(highest, ids[i]!)
    const bytesPerToken = byteLength(part) / ids.length
    return new PackedTokens(tokenArray(ids, highest + 1), { blockSize, stride: step, bytesPerToken, name })
  }
  const [first, last] = splitText(text, validationSplit)
  const train = pack('training text', first, stride)
  const corpus = { train, numBytes: byteLength(text), numTokens: train.tokens.length }
  if (last === '') return corpus
  const validation = pack('validation text', last, blockSize)
  return { ...corpus, validation, numTokens: train.tokens.length + validation.tokens.length }
}

/** `textCorpus` of files: the shortest way from text to data sets. Throws as `readTextFiles` and `textCorpus`. */
export async function loadTextCorpus(files: readonly string[], options: TextCorpusOptions): Promise<TextCorpus> {
  return textCorpus(await readTextFiles(files), options)
}
