import { type NormalizedText, type TextEdit, unitsAt } from '../normalized-text.ts'
import type { Normalizer } from './normalizer.ts'

export type UnicodeForm = 'NFC' | 'NFD' | 'NFKC' | 'NFKD'

/** A character of a normalized text with the change it makes, as `NormalizedText.transform` takes them. */
type Change = [character: string, change: number]

/**
 * A stretch that may change, independently of its surroundings: a character and what may combine with it, that is marks,
 * the vowels and finals of Hangul, and the halfwidth voiced sound marks.
 */
const stretch =
  /[^\0-\x7f][\p{M}\u1160-\u11ff\ud7b0-\ud7ff\uff9e\uff9f]*|[\s\S][\p{M}\u1160-\u11ff\ud7b0-\ud7ff\uff9e\uff9f]+/gu

/** The Unicode normalization forms (UAX #15), keeping track of which character came from where. */
export class UnicodeNormalizer implements Normalizer {
  constructor(readonly form: UnicodeForm) {}

  normalize(text: NormalizedText): NormalizedText {
    const normal = text.text.normalize(this.form)
    return normal === text.text ? text : text.transform(normal, () => this.edits(text.text))
  }

  toJSON(): Record<string, unknown> {
    return { type: this.form }
  }

  /** The stretches that normalization changes. */
  private *edits(text: string): Generator<TextEdit> {
    const { form } = this
    const decomposition = form === 'NFC' || form === 'NFD' ? 'NFD' : 'NFKD'
    for (const match of text.matchAll(stretch)) {
      const [part] = match
      const normal = part.normalize(form)
      if (normal === part) continue
      const decomposed = decompose(part, decomposition)
      const characters = form === decomposition ? decomposed : compose(normal, decomposed)
      yield { start: match.index, end: match.index + part.length, characters }
    }
  }
}

/** Each character's decomposition, its first character replacing it and the others inserted, in canonical order. */
function decompose(text: string, form: 'NFD' | 'NFKD'): Change[] {
  const pending: Change[] = []
  for (let i = 0; i < text.length; ) {
    const end = i + unitsAt(text, i)
    let change = 0
    for (const character of text.slice(i, end).normalize(form)) {
      pending.push([character, change])
      change = 1
    }
    i = end
  }
  return [...text.normalize(form)].map(character => take(pending, character))
}

/** Composed characters, each with the changes of those it is made of, less one for each that it swallows. */
function compose(composed: string, decomposed: Change[]): Change[] {
  return [...composed].map(character => {
    const parts = [...character.normalize('NFD')].map(part => take(decomposed, part)[1])
    return [character, parts.reduce((sum, change) => sum + change, 1 - parts.length)]
  })
}

/** Removes and returns the first of `pending` with this character: reordering keeps equal characters in order. */
function take(pending: Change[], character: string): Change {
  const index = pending.findIndex(([candidate]) => candidate === character)
  return index < 0 ? [character, 1] : pending.splice(index, 1)[0]!
}
