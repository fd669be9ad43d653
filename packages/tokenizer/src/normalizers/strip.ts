import type { NormalizedText } from '../normalized-text.ts'
import type { Normalizer } from './normalizer.ts'

const leading = /^\p{White_Space}+/u
const whitespace = /\p{White_Space}/u
const mark = /\p{M}/gu

/** Takes white space off the ends. */
export class StripNormalizer implements Normalizer {
  constructor(
    readonly stripLeft = true,
    readonly stripRight = true,
  ) {}

  normalize(text: NormalizedText): NormalizedText {
    const start = this.stripLeft ? (leading.exec(text.text)?.[0].length ?? 0) : 0
    let end = text.text.length
    if (this.stripRight) while (end > start && whitespace.test(text.text[end - 1]!)) end--
    return text.trim(start, end)
  }

  toJSON(): Record<string, unknown> {
    return { type: 'Strip', strip_left: this.stripLeft, strip_right: this.stripRight }
  }
}

/** Drops combining marks; accents that are part of a letter stay unless a decomposition came before. */
export class StripAccentsNormalizer implements Normalizer {
  normalize(text: NormalizedText): NormalizedText {
    return text.replaceCharacters(mark, '')
  }

  toJSON(): Record<string, unknown> {
    return { type: 'StripAccents' }
  }
}
