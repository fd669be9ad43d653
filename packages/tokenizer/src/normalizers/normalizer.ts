import type { NormalizedText } from '../normalized-text.ts'

/** Makes texts that should mean the same look the same. */
export interface Normalizer {
  normalize(text: NormalizedText): NormalizedText
  /** The `normalizer` object of tokenizer.json. */
  toJSON(): Record<string, unknown>
}
