import {
  BertNormalizer,
  BertPreTokenizer,
  BpeTrainer,
  byteLevelAlphabet,
  createByteLevelBpe,
  MetaspaceDecoder,
  MetaspacePreTokenizer,
  Tokenizer,
  UnigramModel,
  UnigramTrainer,
  WordPieceDecoder,
  WordPieceModel,
  WordPieceTrainer,
} from '@heed/tokenizer'

export type TrainingMethod = 'BPE' | 'WordPiece' | 'Unigram'

const unknown = '[UNK]'

/** An empty tokenizer of a kind, with the parts that usually go with it. */
export function emptyTokenizer(method: TrainingMethod): Tokenizer {
  if (method === 'BPE') return createByteLevelBpe()
  if (method === 'WordPiece') {
    return new Tokenizer({
      model: new WordPieceModel({ unkToken: unknown }),
      normalizer: new BertNormalizer(),
      preTokenizer: new BertPreTokenizer(),
      decoder: new WordPieceDecoder(),
    })
  }
  return new Tokenizer({
    model: new UnigramModel(),
    preTokenizer: new MetaspacePreTokenizer(),
    decoder: new MetaspaceDecoder(),
  })
}

/** What trains it. `wordPieceTokens` come first in a WordPiece vocabulary. */
export function trainerOf(
  method: TrainingMethod,
  vocabSize: number,
  wordPieceTokens: readonly string[] = [unknown],
): BpeTrainer | WordPieceTrainer | UnigramTrainer {
  if (method === 'BPE') return new BpeTrainer({ vocabSize, initialAlphabet: byteLevelAlphabet })
  if (method === 'WordPiece') return new WordPieceTrainer({ vocabSize, specialTokens: wordPieceTokens })
  return new UnigramTrainer({ vocabSize, unkToken: '<unk>', specialTokens: ['<unk>'] })
}
