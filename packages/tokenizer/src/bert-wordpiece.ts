import { WordPieceDecoder } from './decoders/wordpiece.ts'
import { WordPieceModel, type WordPieceOptions } from './models/wordpiece.ts'
import { BertNormalizer } from './normalizers/bert.ts'
import { BertPostProcessor, type SpecialTokenPair } from './post-processors/bert.ts'
import { BertPreTokenizer } from './pre-tokenizers/bert.ts'
import { Tokenizer } from './tokenizer.ts'
import type { TokenizerConfig } from './tokenizer-config.ts'

/** BERT's special tokens: what a trainer takes as `specialTokens`, so that they have the ids 0 to 4. */
export const bertSpecialTokens: readonly string[] = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']

export interface BertWordPieceOptions extends WordPieceOptions {
  /** Whether letters lose their case and accents. Default true, as `bert-base-uncased`. */
  readonly lowercase?: boolean
  /** Besides BERT's special tokens, which it names by itself. */
  readonly config?: TokenizerConfig
}

/** A tokenizer like BERT's. Empty until its vocabulary is given or trained with `bertSpecialTokens`. */
export function createBertWordPiece({ lowercase = true, config, ...options }: BertWordPieceOptions = {}): Tokenizer {
  const model = new WordPieceModel(options)
  const withId = (token: string): SpecialTokenPair => [
    token,
    model.vocabulary.idOf(token) ?? bertSpecialTokens.indexOf(token),
  ]
  const [pad_token, unk_token, cls_token, sep_token, mask_token] = bertSpecialTokens as [
    string,
    string,
    string,
    string,
    string,
  ]
  return new Tokenizer({
    model,
    normalizer: new BertNormalizer({ lowercase }),
    preTokenizer: new BertPreTokenizer(),
    postProcessor: new BertPostProcessor(withId(sep_token), withId(cls_token)),
    decoder: new WordPieceDecoder(),
    addedTokens: bertSpecialTokens
      .filter(token => model.vocabulary.idOf(token) !== undefined)
      .map(content => ({ content, special: true })),
    config: { pad_token, unk_token, cls_token, sep_token, mask_token, ...config },
  })
}
