import type { PreTokenizedText } from '../pre-tokenized-text.ts'
import type { PreTokenizer } from './pre-tokenizer.ts'

/** Pre-tokenizers one after the other, each cutting the pieces of the one before. */
export class SequencePreTokenizer implements PreTokenizer {
  constructor(readonly preTokenizers: readonly PreTokenizer[]) {}

  preTokenize(text: PreTokenizedText): void {
    for (const preTokenizer of this.preTokenizers) preTokenizer.preTokenize(text)
  }

  toJSON(): Record<string, unknown> {
    return { type: 'Sequence', pretokenizers: this.preTokenizers.map(preTokenizer => preTokenizer.toJSON()) }
  }
}
