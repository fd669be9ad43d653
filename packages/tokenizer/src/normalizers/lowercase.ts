import type { NormalizedText } from '../normalized-text.ts'
import type { Normalizer } from './normalizer.ts'

const cased = /[\p{Lu}\p{Lt}\p{Changes_When_Lowercased}]/gu

/** Each code point in lower case on its own, without the rule for a Greek sigma at the end of a word. */
export function lowercase(text: NormalizedText): NormalizedText {
  const lower = text.text.toLowerCase()
  if (lower === text.text) return text
  // Only U+0130 grows and only U+03A3 looks around, so equal lengths without it mean code point for code point.
  if (lower.length === text.text.length && !text.text.includes('\u03a3')) return text.withText(lower)
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
