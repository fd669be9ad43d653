import type { NormalizedText } from '../normalized-text.ts'
import type { Normalizer } from './normalizer.ts'

/** Puts a text in front of each text that is not empty. */
export class PrependNormalizer implements Normalizer {
  constructor(readonly prepend: string) {}

  normalize(text: NormalizedText): NormalizedText {
    return text.prepend(this.prepend)
  }

  toJSON(): Record<string, unknown> {
    return { type: 'Prepend', prepend: this.prepend }
  }
}

/** Puts a text behind each text that is not empty. */
export class AppendNormalizer implements Normalizer {
  constructor(readonly append: string) {}

  normalize(text: NormalizedText): NormalizedText {
    return text.text === '' ? text : text.append(this.append)
  }

  toJSON(): Record<string, unknown> {
    return { type: 'Append', append: this.append }
  }
}
