import { Encoding, type TokenLookup } from '../encoding.ts'
import type { PostProcessor } from './post-processor.ts'

export type SpecialTokenPair = readonly [token: string, id: number]

/** `[CLS] A [SEP]` and `[CLS] A [SEP] B [SEP]`; the second text has type 1. Devlin et al. 2018. */
export class BertPostProcessor implements PostProcessor {
  constructor(
    readonly sep: SpecialTokenPair = ['[SEP]', 102],
    readonly cls: SpecialTokenPair = ['[CLS]', 101],
  ) {}

  addedTokens(isPair: boolean): number {
    return isPair ? 3 : 2
  }

  process(encodings: readonly Encoding[], addSpecialTokens: boolean, lookup: TokenLookup): readonly Encoding[] {
    if (!addSpecialTokens) return encodings
    const cls = special(this.cls, 0, lookup)
    return encodings.map((encoding, i) => {
      const sep = special(this.sep, i, lookup)
      return Encoding.join(i === 0 ? [cls, encoding, sep] : [encoding, sep], lookup)
    })
  }

  toJSON(): Record<string, unknown> {
    return { type: 'BertProcessing', sep: this.sep, cls: this.cls }
  }
}

/** One special token as an encoding. */
export function special([token, id]: SpecialTokenPair, typeId: number, lookup: TokenLookup): Encoding {
  return Encoding.special([id], [token], typeId, lookup)
}
