import type { NormalizedText } from '../normalized-text.ts'
import type { Normalizer } from './normalizer.ts'

function isDropped(code: number): boolean {
  if (code < 0x20) return code !== 0 && code !== 0x09 && code !== 0x0a && code !== 0x0c && code !== 0x0d
  return code === 0x7f || code === 0x8f || code === 0x9f
}

const spaces = new Set([0x09, 0x0a, 0x0c, 0x0d, 0x1680, 0x2028, 0x2029, 0x2581, 0xfeff, 0xfffd])

function isSpaced(code: number): boolean {
  return spaces.has(code) || (code >= 0x200b && code <= 0x200f)
}

function clean(character: string): string {
  const code = character.charCodeAt(0)
  return isDropped(code) ? '' : isSpaced(code) ? ' ' : character
}

/** Drops control characters and makes spaces of odd ones, as SentencePiece's nmt_nfkc does first. */
export class NmtNormalizer implements Normalizer {
  normalize(text: NormalizedText): NormalizedText {
    for (let i = 0; i < text.text.length; i++) {
      const code = text.text.charCodeAt(i)
      if (isDropped(code) || isSpaced(code)) return text.mapCharacters(clean)
    }
    return text
  }

  toJSON(): Record<string, unknown> {
    return { type: 'Nmt' }
  }
}
