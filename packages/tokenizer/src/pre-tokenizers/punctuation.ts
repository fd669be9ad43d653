import type { PreTokenizedText } from '../pre-tokenized-text.ts'
import { cutByPattern, type SplitBehavior } from './cut.ts'
import type { PreTokenizer } from './pre-tokenizer.ts'

const punctuation = /[\p{P}$+<=>^`|~]/gu

/** Cuts at each sign of punctuation. */
export class PunctuationPreTokenizer implements PreTokenizer {
  constructor(readonly behavior: SplitBehavior = 'Isolated') {}

  preTokenize(text: PreTokenizedText): void {
    text.split((piece, sink) => cutByPattern(piece, punctuation, this.behavior, false, sink))
  }

  toJSON(): Record<string, unknown> {
    return { type: 'Punctuation', behavior: this.behavior }
  }
}
