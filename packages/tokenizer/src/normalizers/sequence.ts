import type { NormalizedText } from '../normalized-text.ts'
import type { Normalizer } from './normalizer.ts'

/** Normalizers one after the other. */
export class SequenceNormalizer implements Normalizer {
  constructor(readonly normalizers: readonly Normalizer[]) {}

  normalize(text: NormalizedText): NormalizedText {
    return this.normalizers.reduce((current, normalizer) => normalizer.normalize(current), text)
  }

  toJSON(): Record<string, unknown> {
    return { type: 'Sequence', normalizers: this.normalizers.map(normalizer => normalizer.toJSON()) }
  }
}
