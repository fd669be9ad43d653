import type { AddedToken } from '../added-tokens.ts'
import { checkOptions } from '../errors.ts'
import { WordLevelModel } from '../models/word-level.ts'
import type { Tokenizer } from '../tokenizer.ts'
import { compareByCodePoints } from './code-points.ts'
import {
  checkCounts,
  completeSpecialTokens,
  countPieces,
  type TextSource,
  type TrainOptions,
  wrongModel,
} from './trainer.ts'

export interface WordLevelTrainerOptions {
  /** Most tokens, special tokens included. Default 30000. */
  readonly vocabSize?: number
  /** A piece seen less often is left out. Default 0. */
  readonly minFrequency?: number
  /** They get the first ids. */
  readonly specialTokens?: readonly (string | AddedToken)[]
}

const optionNames: Readonly<Record<keyof WordLevelTrainerOptions, true>> = {
  vocabSize: true,
  minFrequency: true,
  specialTokens: true,
}

/** Takes the most frequent pieces. Same vocabulary as `WordLevelTrainer` of HF tokenizers. */
export class WordLevelTrainer {
  /** Throws HEED_ARGUMENT_INVALID. */
  constructor(readonly options: WordLevelTrainerOptions = {}) {
    checkOptions('WordLevelTrainer', options, optionNames)
    checkCounts('WordLevelTrainer', { vocabSize: options.vocabSize, minFrequency: options.minFrequency })
  }

  /** Replaces the tokenizer's model and adds the special tokens. Throws HEED_ARGUMENT_INVALID. */
  async train(tokenizer: Tokenizer, texts: TextSource, options: TrainOptions = {}): Promise<void> {
    const { model } = tokenizer
    if (!(model instanceof WordLevelModel)) throw wrongModel('WordLevelTrainer', 'WordLevelModel', model)
    const { vocabSize = 30000, minFrequency = 0 } = this.options
    const specialTokens = completeSpecialTokens(this.options.specialTokens ?? [])
    const counts = await countPieces(tokenizer, texts, options)
    const words = [...counts]
      .filter(([, count]) => count >= minFrequency)
      .sort(([a, countA], [b, countB]) => countB - countA || compareByCodePoints(a, b))
      .map(([word]) => word)
    const tokens = [...specialTokens.map(({ content }) => content), ...words].slice(0, vocabSize)
    const vocab = new Map(tokens.map((token, id) => [token, id]))
    tokenizer.model = new WordLevelModel({ vocab, unkToken: model.unkToken })
    tokenizer.addTokens(specialTokens)
  }
}
