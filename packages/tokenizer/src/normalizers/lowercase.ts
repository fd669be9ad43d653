import type { NormalizedText } from '../normalized-text.ts'
import type { Normalizer } from './normalizer.ts'

const cased = /[\p{Lu}\p{Lt}\p{Changes_When_Lowercased}]/gu

/** Each code point in lower case on its own, without the rule for a Greek sigma at the end of a word. */
export function lowercase(text: NormalizedText): NormalizedText {
  // Between capital sigmas nothing looks around, and only U+0130 grows: equal lengths mean code point for code point.
  const parts = text.text.split('\u03a3').map(part => part.toLowerCase())
  const lower = parts.join('\u03c3')
  if (lower === text.text) return text
  if (lower.length === text.text.length) return text.withText(lower)
  return text.mapCharacters(cased, character => character.toLowerCase())
}

/** Lower case. */
export class LowercaseNormalizer implements Normalizer {
  normalize(text: NormalizedText): NormalizedText {
    return lowercase(text)
  }

  toJSON(): Record<string, unknown> {
    return { type: 'Lowercase' }
  }
}
