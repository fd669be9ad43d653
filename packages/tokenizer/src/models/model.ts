import type { TokenValues } from '../encoding-columns.ts'
import type { Vocabulary } from '../vocabulary.ts'

/** The tokens of one piece. */
export interface PieceTokens {
  readonly ids: readonly number[]
  /** Flat pairs: start and end of each token in the piece, in UTF-16 units, on code point boundaries. */
  readonly spans: readonly number[]
  /** The text of each token where it differs from that of its id (an unknown word); absent or null when none does. */
  readonly values?: TokenValues
}

/** Turns pieces into tokens; what a tokenizer looks up and what a trainer makes. */
export interface Model {
  readonly vocabulary: Vocabulary
  /** Whether the same piece always gives the same tokens, so that they may be cached. */
  readonly isDeterministic: boolean
  tokenize(piece: string): PieceTokens
  /** The `model` object of tokenizer.json. */
  toJSON(): Record<string, unknown>
}
