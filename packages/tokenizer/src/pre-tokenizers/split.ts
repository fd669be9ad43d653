import type { PreTokenizedText } from '../pre-tokenized-text.ts'
import { compilePattern, type Pattern } from '../regex.ts'
import { cutByPattern, type SplitBehavior } from './cut.ts'
import type { PreTokenizer } from './pre-tokenizer.ts'

export interface SplitOptions {
  readonly pattern: Pattern
  readonly behavior: SplitBehavior
  /** Whether what lies between the matches is the delimiter. Default false. */
  readonly invert?: boolean
}

/** Cuts at the matches of a pattern. */
export class SplitPreTokenizer implements PreTokenizer {
  private readonly regExp: RegExp

  /** Throws HEED_CONFIG_INVALID. */
  constructor(readonly options: SplitOptions) {
    this.regExp = compilePattern(options.pattern)
  }

  preTokenize(text: PreTokenizedText): void {
    const { behavior, invert = false } = this.options
    text.split((piece, sink) => cutByPattern(piece, this.regExp, behavior, invert, sink))
  }

  toJSON(): Record<string, unknown> {
    const { pattern, behavior, invert = false } = this.options
    return { type: 'Split', pattern, behavior, invert }
  }
}
