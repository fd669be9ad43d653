import type { NormalizedText } from '../normalized-text.ts'
import type { Normalizer } from './normalizer.ts'

/** Control characters and what is made a space: white space and marks of order, width and byte order. */
const odd = /[\p{Cc}\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]/gu

/** Control characters that the reference leaves alone. */
function isKept(code: number): boolean {
  return code === 0 || (code >= 0x80 && code <= 0x9f && code !== 0x8f && code !== 0x9f)
}

function clean(character: string): string {
  const code = character.charCodeAt(0)
  if (isKept(code)) return character
  const isControl = (code < 0x20 && !'\t\n\f\r'.includes(character)) || (code >= 0x7f && code <= 0x9f)
  return isControl ? '' : ' '
}

/** Drops control characters and makes spaces of odd ones, as SentencePiece's nmt_nfkc does first. */
export class NmtNormalizer implements Normalizer {
  normalize(text: NormalizedText): NormalizedText {
    return text.mapCharacters(odd, clean)
  }

  toJSON(): Record<string, unknown> {
    return { type: 'Nmt' }
  }
}
