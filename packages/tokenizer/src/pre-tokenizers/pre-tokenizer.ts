import type { PreTokenizedText } from '../pre-tokenized-text.ts'

/** Cuts a text into the pieces that a model turns into tokens one by one. */
export interface PreTokenizer {
  preTokenize(text: PreTokenizedText): void
  /** The `pre_tokenizer` object of tokenizer.json. */
  toJSON(): Record<string, unknown>
}
