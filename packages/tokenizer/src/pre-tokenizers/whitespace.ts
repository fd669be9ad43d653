import type { PreTokenizedText } from '../pre-tokenized-text.ts'
import { cutByPattern } from './cut.ts'
import type { PreTokenizer } from './pre-tokenizer.ts'

const wordsAndSigns =
  /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}\p{White_Space}]+/gu
const whitespace = /\p{White_Space}/gu

/** Runs of word characters and runs of other signs; white space is dropped. */
export class WhitespacePreTokenizer implements PreTokenizer {
  preTokenize(text: PreTokenizedText): void {
    text.split((piece, sink) => cutByPattern(piece, wordsAndSigns, 'Removed', true, sink))
  }

  toJSON(): Record<string, unknown> {
    return { type: 'Whitespace' }
  }
}

/** What lies between white space. */
export class WhitespaceSplitPreTokenizer implements PreTokenizer {
  preTokenize(text: PreTokenizedText): void {
    text.split((piece, sink) => cutByPattern(piece, whitespace, 'Removed', false, sink))
  }

  toJSON(): Record<string, unknown> {
    return { type: 'WhitespaceSplit' }
  }
}
