import { WordPieceModel } from '../models/wordpiece.ts'
import type { Tokenizer } from '../tokenizer.ts'
import { BpeTrainer, type BpeTrainerOptions } from './bpe.ts'
import { completeSpecialTokens, countPieces, type TextSource, type TrainOptions, wrongModel } from './trainer.ts'

/**
 * Learns a WordPiece vocabulary as HF does: by BPE, whose merges are then forgotten. Schuster & Nakajima 2012 chose
 * merges by likelihood instead. Same vocabulary as `WordPieceTrainer` of HF tokenizers.
 */
export class WordPieceTrainer {
  private readonly bpe: BpeTrainer

  /** `continuingSubwordPrefix` is `##` by default. Throws HEED_ARGUMENT_INVALID. */
  constructor(options: BpeTrainerOptions = {}) {
    this.bpe = new BpeTrainer({ continuingSubwordPrefix: '##', ...options })
  }

  /** Replaces the tokenizer's model and adds the special tokens. Throws HEED_ARGUMENT_INVALID. */
  async train(tokenizer: Tokenizer, texts: TextSource, options: TrainOptions = {}): Promise<void> {
    const { model } = tokenizer
    if (!(model instanceof WordPieceModel)) throw wrongModel('WordPieceTrainer', 'WordPieceModel', model)
    const { vocabulary } = this.bpe.learn(await countPieces(tokenizer, texts, options), options)
    const { continuingSubwordPrefix = '##', specialTokens = [] } = this.bpe.options
    tokenizer.model = new WordPieceModel({ ...model.options, continuingSubwordPrefix, vocab: vocabulary })
    tokenizer.addTokens(completeSpecialTokens(specialTokens))
  }
}
