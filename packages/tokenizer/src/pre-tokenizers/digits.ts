import type { PreTokenizedText } from '../pre-tokenized-text.ts'
import { cutByPattern } from './cut.ts'
import type { PreTokenizer } from './pre-tokenizer.ts'

const number = /\p{N}/gu

/** Cuts numbers off, in runs or digit by digit. */
export class DigitsPreTokenizer implements PreTokenizer {
  constructor(readonly individualDigits = false) {}

  preTokenize(text: PreTokenizedText): void {
    const behavior = this.individualDigits ? 'Isolated' : 'Contiguous'
    text.split((piece, sink) => cutByPattern(piece, number, behavior, false, sink))
  }

  toJSON(): Record<string, unknown> {
    return { type: 'Digits', individual_digits: this.individualDigits }
  }
}
