import { HeedError } from '@heed/tensor-backend'
import { Tokenizer } from '@heed/tokenizer'
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
import { tokenizerOfRun } from './training-session.ts'

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

/** How a text becomes a corpus; a tokenizer is trained where neither one nor a model is given. */
export interface CorpusRecipe {
  out: string
  tokenizer?: string
  model?: string
  vocabSize: number
  blockSize: number
  resume: boolean
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
export function makeCorpus(data: TrainingData, recipe: CorpusRecipe, isQuiet: boolean): Promise<Corpus> {
  return 'folder' in data ? preparedCorpus(data.folder, recipe) : corpusOfText(data.text, recipe, isQuiet)
}

/** The blocks of a prepared corpus; the tokens at its end, 1 in 100 and a block at least, are for validation. */
async function preparedCorpus(folder: string, { blockSize }: CorpusRecipe): Promise<Corpus> {
  const all = await TokenShards.open(folder, { blockSize })
  const { numTokens, numBytes } = all.index
  await all.close()
  const cut = numTokens - Math.max(blockSize, Math.min(mostValidationTokens, Math.floor(numTokens / 100)))
  return {
    tokenizer: await Tokenizer.fromPretrained(folder),
    train: await TokenShards.open(folder, { blockSize, end: cut }),
    validation: await TokenShards.open(folder, { blockSize, start: cut }),
    ...{ numBytes, numTokens },
  }
}

async function corpusOfText(text: string, recipe: CorpusRecipe, isQuiet: boolean): Promise<Corpus> {
  const tokenizer = await tokenizerFor(text, recipe, isQuiet)
  const corpus = textCorpus(text, { tokenizer, blockSize: recipe.blockSize, stride: 1, validationSplit })
  return { ...corpus, tokenizer, validation: corpus.validation! }
}

async function tokenizerFor(text: string, recipe: CorpusRecipe, isQuiet: boolean): Promise<Tokenizer> {
  const source = recipe.tokenizer ?? recipe.model
  if (source) return Tokenizer.fromPretrained(source)
  if (recipe.resume) return tokenizerOfRun(recipe.out)
  return newTokenizer(splitText(text, validationSplit)[0], recipe.vocabSize, isQuiet)
}

async function newTokenizer(text: string, vocabSize: number, isQuiet: boolean): Promise<Tokenizer> {
  const bar = new ProgressBar('tokenizer', vocabSize, isQuiet)
  const tokenizer = await trainTokenizer(text.split(/(?<=\n)/), {
    type: 'bpe',
    vocabSize,
    onProgress: ({ stage, done }) => stage === 'Compute merges' && bar.update(done, `${formatCount(done)} merges`),
  })
  bar.clear()
  return tokenizer
}
