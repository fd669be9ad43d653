import {
  BpeTrainer,
  bertSpecialTokens,
  byteLevelAlphabet,
  createBertWordPiece,
  createByteLevelBpe,
  HeedError,
  MetaspaceDecoder,
  MetaspacePreTokenizer,
  TemplatePostProcessor,
  type TextSource,
  Tokenizer,
  type TrainOptions,
  UnicodeNormalizer,
  UnigramModel,
  UnigramTrainer,
  WordPieceTrainer,
} from '@heed/tokenizer'
import type { TokenizerType } from './commands/tokenizer/train.ts'

/** The token that ends a text, as in GPT-2's vocabulary. */
export const endOfText = '<|endoftext|>'

export interface NewTokenizerOptions extends TrainOptions {
  readonly type: TokenizerType
  readonly vocabSize: number
  /** Merge a pair only if it occurs this often; not for unigram. Default 2. */
  readonly minFrequency?: number | undefined
}

const trainers: Readonly<
  Record<TokenizerType, (texts: TextSource, options: NewTokenizerOptions) => Promise<Tokenizer>>
> = { bpe: trainBpe, wordpiece: trainWordPiece, unigram: trainUnigram }

/**
 * A new tokenizer for texts: `bpe` like GPT-2's, over bytes; `wordpiece` like BERT's, uncased; `unigram` like T5's.
 * Throws HEED_ARGUMENT_INVALID.
 */
export function trainTokenizer(texts: TextSource, options: NewTokenizerOptions): Promise<Tokenizer> {
  return trainers[options.type](texts, options)
}

async function trainBpe(texts: TextSource, options: NewTokenizerOptions): Promise<Tokenizer> {
  const config = { bos_token: endOfText, eos_token: endOfText, unk_token: endOfText }
  const tokenizer = createByteLevelBpe({ config })
  const { vocabSize, minFrequency = 2 } = options
  const trainer = new BpeTrainer({
    vocabSize,
    minFrequency,
    specialTokens: [endOfText],
    initialAlphabet: byteLevelAlphabet,
  })
  await trainer.train(tokenizer, texts, options)
  return tokenizer
}

async function trainWordPiece(texts: TextSource, options: NewTokenizerOptions): Promise<Tokenizer> {
  const tokenizer = createBertWordPiece()
  const { vocabSize, minFrequency = 2 } = options
  const trainer = new WordPieceTrainer({ vocabSize, minFrequency, specialTokens: bertSpecialTokens })
  await trainer.train(tokenizer, texts, options)
  return tokenizer
}

async function trainUnigram(texts: TextSource, options: NewTokenizerOptions): Promise<Tokenizer> {
  const { vocabSize, minFrequency } = options
  if (minFrequency !== undefined) {
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `heed tokenizer train: --min-frequency is ${minFrequency}, expected none with --type unigram, which has no merges. ` +
        'Leave it out.',
    )
  }
  const specialTokens = ['<pad>', '</s>', '<unk>']
  const tokenizer = new Tokenizer({
    model: new UnigramModel(),
    normalizer: new UnicodeNormalizer('NFKC'),
    preTokenizer: new MetaspacePreTokenizer(),
    postProcessor: new TemplatePostProcessor({
      single: '$A </s>',
      pair: '$A </s> $B </s>',
      specialTokens: [['</s>', specialTokens.indexOf('</s>')]],
    }),
    decoder: new MetaspaceDecoder(),
    config: { pad_token: '<pad>', eos_token: '</s>', unk_token: '<unk>' },
  })
  await new UnigramTrainer({ vocabSize, specialTokens, unkToken: '<unk>' }).train(tokenizer, texts, options)
  return tokenizer
}
