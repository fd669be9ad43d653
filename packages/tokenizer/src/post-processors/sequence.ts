import type { Encoding, TokenLookup } from '../encoding.ts'
import type { PostProcessor } from './post-processor.ts'

/** Post-processors one after the other. */
export class SequencePostProcessor implements PostProcessor {
  constructor(readonly processors: readonly PostProcessor[]) {}

  addedTokens(isPair: boolean): number {
    return this.processors.reduce((sum, processor) => sum + processor.addedTokens(isPair), 0)
  }

  process(encodings: readonly Encoding[], addSpecialTokens: boolean, lookup: TokenLookup): readonly Encoding[] {
    return this.processors.reduce(
      (current, processor) => processor.process(current, addSpecialTokens, lookup),
      encodings,
    )
  }

  toJSON(): Record<string, unknown> {
    return { type: 'Sequence', processors: this.processors.map(processor => processor.toJSON()) }
  }
}
