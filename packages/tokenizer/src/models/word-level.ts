import { HeedError } from '../errors.ts'
import { Vocabulary } from '../vocabulary.ts'
import type { Model, PieceTokens } from './model.ts'

export type VocabInput = Vocabulary | Readonly<Record<string, number>> | ReadonlyMap<string, number>

/** A vocabulary from any of the forms that users have. Throws HEED_CONFIG_INVALID. */
export function toVocabulary(vocab: VocabInput, where: string): Vocabulary {
  if (vocab instanceof Vocabulary) return vocab
  return Vocabulary.from(vocab instanceof Map ? vocab : Object.entries(vocab), where)
}

/** The id of a model's unknown token. Throws HEED_CONFIG_INVALID if the vocabulary lacks it. */
export function unknownId(vocabulary: Vocabulary, unkToken: string, where: string): number {
  const id = vocabulary.idOf(unkToken)
  if (id !== undefined) return id
  throw new HeedError(
    'HEED_CONFIG_INVALID',
    `${where}: unk_token is ${JSON.stringify(unkToken)}, expected a token of the vocabulary, since a piece is unknown. ` +
      'Add it to the vocabulary.',
  )
}

export interface WordLevelOptions {
  readonly vocab?: VocabInput
  /** Default `<unk>`. */
  readonly unkToken?: string
}

/** Each piece is a token or unknown. Same ids as `WordLevel` of HF tokenizers. */
export class WordLevelModel implements Model {
  readonly vocabulary: Vocabulary
  readonly unkToken: string
  readonly isDeterministic = true

  /** Throws HEED_CONFIG_INVALID. */
  constructor({ vocab = {}, unkToken = '<unk>' }: WordLevelOptions = {}) {
    this.vocabulary = toVocabulary(vocab, 'WordLevelModel')
    this.unkToken = unkToken
  }

  /** Throws HEED_CONFIG_INVALID if the piece is unknown and unkToken is not in the vocabulary. */
  tokenize(piece: string): PieceTokens {
    const id = this.vocabulary.idOf(piece) ?? unknownId(this.vocabulary, this.unkToken, 'WordLevelModel')
    return { ids: [id], spans: [0, piece.length] }
  }

  toJSON(): Record<string, unknown> {
    return { type: 'WordLevel', vocab: this.vocabulary.toJSON(), unk_token: this.unkToken }
  }
}
