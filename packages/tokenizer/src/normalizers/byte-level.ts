import type { NormalizedText } from '../normalized-text.ts'
import { byteLevelText } from '../pre-tokenized-text.ts'
import type { Normalizer } from './normalizer.ts'

/** Spells the UTF-8 bytes of a text in 256 printable characters. */
export class ByteLevelNormalizer implements Normalizer {
  normalize(text: NormalizedText): NormalizedText {
    return byteLevelText(text)
  }

  toJSON(): Record<string, unknown> {
    return { type: 'ByteLevel' }
  }
}
