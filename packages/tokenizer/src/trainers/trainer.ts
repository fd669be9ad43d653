import type { AddedToken } from '../added-tokens.ts'
import { toByteCharacters } from '../byte-alphabet.ts'
import { HeedError, invalidArgument, shown } from '../errors.ts'
import type { Model } from '../models/model.ts'
import type { Tokenizer } from '../tokenizer.ts'

/** How far a training is: `done` of `total` in one of its stages. */
export interface TrainingProgress {
  readonly stage: string
  readonly done: number
  /** Undefined while it is not known, as the number of texts in a stream. */
  readonly total: number | undefined
}

export interface TrainOptions {
  readonly onProgress?: (progress: TrainingProgress) => void
}

export type TextSource = Iterable<string> | AsyncIterable<string>

/** Special tokens as users give them: a string is one that the text's normalization leaves alone. Throws HEED_ARGUMENT_INVALID. */
export function completeSpecialTokens(tokens: readonly (string | AddedToken)[]): AddedToken[] {
  if (!Array.isArray(tokens)) {
    throw invalidArgument('train: specialTokens', tokens, 'a list of tokens', 'Pass [token] for a single one.')
  }
  return tokens.map(token => (typeof token === 'string' ? { content: token, special: true } : token))
}

/** The error for a tokenizer whose model is of another kind than a trainer's. */
export function wrongModel(trainer: string, expected: string, model: Model): HeedError {
  return new HeedError(
    'HEED_ARGUMENT_INVALID',
    `${trainer}: the tokenizer's model is ${model.constructor.name}, expected ${expected}. Use the trainer of that model.`,
  )
}

/** Throws HEED_ARGUMENT_INVALID if an option is given that is no integer from 0 on. */
export function checkCounts(trainer: string, options: Readonly<Record<string, number | undefined>>): void {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || (Number.isInteger(value) && value >= 0)) continue
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `${trainer}: ${name} is ${shown(value)}, expected an integer from 0 on. Correct the option.`,
    )
  }
}

/** The first character of each text, as HF takes them. */
export function alphabetOf(texts: Iterable<string>): string[] {
  return Array.from(texts, text => [...text][0] ?? '').filter(character => character !== '')
}

/** Texts between two progress reports. */
const REPORT_EVERY = 256

/** How often each piece occurs in the texts; only these counts stay in memory. Throws HEED_ARGUMENT_INVALID. */
export async function countPieces(
  tokenizer: Tokenizer,
  texts: TextSource,
  options: TrainOptions,
): Promise<Map<string, number>> {
  const isIterable = Symbol.iterator in Object(texts) || Symbol.asyncIterator in Object(texts)
  if (typeof texts === 'string' || !isIterable) {
    throw invalidArgument('train: texts', texts, 'an iterable of strings', 'Pass [text], or its lines.')
  }
  const counts = new Map<string, number>()
  const byteLevelCounts = new Map<string, number>()
  const stage = 'Pre-processing sequences'
  let done = 0
  const count = (text: string) => {
    if (typeof text !== 'string') throw invalidArgument(`train: text ${done}`, text, 'a string', 'Convert it first.')
    const cut = tokenizer.preTokenize(text)
    for (const { pieces, addedToken } of cut.segments) {
      const target = cut.isByteLevel && addedToken === undefined ? byteLevelCounts : counts
      for (const piece of pieces) target.set(piece, (target.get(piece) ?? 0) + 1)
    }
    done++
    if (done % REPORT_EVERY === 0) options.onProgress?.({ stage, done, total: undefined })
  }
  if (Symbol.asyncIterator in texts) for await (const text of texts) count(text)
  else for (const text of texts) count(text)
  options.onProgress?.({ stage, done, total: done })
  // Bytes are spelled once for each different piece, here, instead of once for each piece met.
  for (const [piece, number] of byteLevelCounts) {
    const bytes = toByteCharacters(piece)
    counts.set(bytes, (counts.get(bytes) ?? 0) + number)
  }
  return counts
}
