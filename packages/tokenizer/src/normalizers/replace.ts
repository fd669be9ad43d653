import type { NormalizedText } from '../normalized-text.ts'
import { compilePattern, matchSpans, type Pattern } from '../regex.ts'
import type { Normalizer } from './normalizer.ts'

/** Replaces each match of a pattern by one text. */
export class ReplaceNormalizer implements Normalizer {
  private readonly regExp: RegExp
  private readonly isOneForOne: boolean

  /** Throws HEED_CONFIG_INVALID. */
  constructor(
    readonly pattern: Pattern,
    readonly content: string,
  ) {
    this.regExp = compilePattern(pattern)
    this.isOneForOne = 'String' in pattern && pattern.String.length === 1 && content.length === 1
  }

  normalize(text: NormalizedText): NormalizedText {
    if (text.text === '') return text
    if ('String' in this.pattern) {
      if (!text.text.includes(this.pattern.String)) return text
      if (this.isOneForOne) return text.withText(text.text.replaceAll(this.pattern.String, this.content))
    }
    return text.replaceSpans(matchSpans(text.text, this.regExp), this.content)
  }

  toJSON(): Record<string, unknown> {
    return { type: 'Replace', pattern: this.pattern, content: this.content }
  }
}
