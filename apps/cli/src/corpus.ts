import { HeedError } from '@heed/tensor-backend'
import type { Tokenizer } from '@heed/tokenizer'
import {
  type IndexedDataset,
  isTokenShards,
  readTextFiles,
  splitText,
  type TokenExample,
  TokenShards,
  textCorpus,
} from '@heed/trainer'
import { isFolder } from './path-kind.ts'
import { formatCount } from './terminal/format.ts'
import { ProgressBar } from './terminal/progress.ts'
import { trainTokenizer } from './train-tokenizer.ts'

/** A text, or the folder of a corpus that was tokenised before. */
export type TrainingData = { text: string } | { folder: string }

/** Blocks of tokens to train on and to validate with, and the tokenizer that made them. */
export interface Corpus {
  tokenizer: Tokenizer
  train: IndexedDataset<TokenExample>
  validation: IndexedDataset<TokenExample>
  numBytes: number
  numTokens: number
}

/** How data become a corpus. */
interface CorpusOptions {
  /** Of a prepared folder its own; without one a tokenizer is trained on the text. */
  tokenizer: Tokenizer | undefined
  /** Of a new tokenizer. */
  vocabSize: number
  blockSize: number
  isQuiet: boolean
}

const validationSplit = 0.1

/** Tokens of a prepared corpus that are for validation at most: more would take longer than they tell. */
const mostValidationTokens = 2 ** 18

/** What files of the command line hold. Throws HEED_ARGUMENT_INVALID, and as `readTextFiles`. */
export async function trainingData(files: readonly string[]): Promise<TrainingData> {
  const [folder, ...others] = files
  if (folder !== undefined && others.length === 0 && (await isTokenShards(folder))) return { folder }
  const areFolders = await Promise.all(files.map(isFolder))
  if (files.length === 0 || areFolders.includes(true)) {
    const found = files.length === 0 ? 'files are missing' : `a file is ${files[areFolders.indexOf(true)]}, a folder`
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `heed train: ${found}, expected text files, or one folder that heed data prepare made. Name them.`,
    )
  }
  return { text: await readTextFiles(files) }
}

/** The corpus of a text or a prepared folder. Throws HEED_ARGUMENT_INVALID when it is shorter than a block. */
export async function makeCorpus(data: TrainingData, options: CorpusOptions): Promise<Corpus> {
  const { blockSize, vocabSize, isQuiet } = options
  if ('folder' in data) return preparedCorpus(data.folder, options.tokenizer!, blockSize)
  const tokenizer = options.tokenizer ?? (await newTokenizer(data.text, vocabSize, isQuiet))
  const corpus = textCorpus(data.text, { tokenizer, blockSize, stride: 1, validationSplit })
  return { ...corpus, tokenizer, validation: corpus.validation! }
}

/** The blocks of a prepared corpus; the tokens at its end, 1 in 100 and a block at least, are for validation. */
async function preparedCorpus(folder: string, tokenizer: Tokenizer, blockSize: number): Promise<Corpus> {
  const all = await TokenShards.open(folder, { blockSize })
  const { numTokens, numBytes } = all.index
  await all.close()
  const cut = numTokens - Math.max(blockSize, Math.min(mostValidationTokens, Math.floor(numTokens / 100)))
  return {
    tokenizer,
    train: await TokenShards.open(folder, { blockSize, end: cut }),
    validation: await TokenShards.open(folder, { blockSize, start: cut }),
    ...{ numBytes, numTokens },
  }
}

/** A tokenizer of the part of a text that is trained on; a short text gives fewer tokens than asked for. */
export async function newTokenizer(text: string, vocabSize: number, isQuiet: boolean): Promise<Tokenizer> {
  const bar = new ProgressBar('tokenizer', vocabSize, isQuiet)
  const tokenizer = await trainTokenizer(splitText(text, validationSplit)[0].split(/(?<=\n)/), {
    type: 'bpe',
    vocabSize,
    onProgress: ({ stage, done }) => stage === 'Compute merges' && bar.update(done, `${formatCount(done)} merges`),
  })
  bar.clear()
  return tokenizer
}
