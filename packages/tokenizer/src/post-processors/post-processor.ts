import type { Encoding, TokenLookup } from '../encoding.ts'

/** Adds special tokens around one encoding or two. */
export interface PostProcessor {
  /** How many tokens it adds. */
  addedTokens(isPair: boolean): number
  /** The encodings whose concatenation is the result. */
  process(encodings: readonly Encoding[], addSpecialTokens: boolean, lookup: TokenLookup): readonly Encoding[]
  /** The `post_processor` object of tokenizer.json. */
  toJSON(): Record<string, unknown>
}
