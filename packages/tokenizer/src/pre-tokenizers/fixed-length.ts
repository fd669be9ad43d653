import { unitsAt } from '../normalized-text.ts'
import type { PreTokenizedText } from '../pre-tokenized-text.ts'
import type { PreTokenizer } from './pre-tokenizer.ts'

/** Pieces of so many code points each. */
export class FixedLengthPreTokenizer implements PreTokenizer {
  constructor(readonly length = 5) {}

  preTokenize(text: PreTokenizedText): void {
    text.split((piece, sink) => {
      let start = 0
      let count = 0
      for (let i = 0; i < piece.length; ) {
        i += unitsAt(piece, i)
        count++
        if (count % this.length === 0 || i === piece.length) {
          sink.add(start, i)
          start = i
        }
      }
    })
  }

  toJSON(): Record<string, unknown> {
    return { type: 'FixedLength', length: this.length }
  }
}
