import type { PreTokenizedText } from '../pre-tokenized-text.ts'
import { literalPattern } from '../regex.ts'
import { cutByPattern } from './cut.ts'
import type { PreTokenizer } from './pre-tokenizer.ts'

/** What lies between occurrences of one character. */
export class CharDelimiterSplitPreTokenizer implements PreTokenizer {
  private readonly pattern: RegExp

  constructor(readonly delimiter: string) {
    this.pattern = literalPattern(delimiter)
  }

  preTokenize(text: PreTokenizedText): void {
    text.split((piece, sink) => cutByPattern(piece, this.pattern, 'Removed', false, sink))
  }

  toJSON(): Record<string, unknown> {
    return { type: 'CharDelimiterSplit', delimiter: this.delimiter }
  }
}
