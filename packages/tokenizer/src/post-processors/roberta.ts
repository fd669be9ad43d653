import { Encoding, type TokenLookup } from '../encoding.ts'
import { type SpecialTokenPair, special } from './bert.ts'
import { trimSpaces } from './byte-level.ts'
import type { PostProcessor } from './post-processor.ts'

export interface RobertaPostProcessorOptions {
  /** Default `</s>`, 2. */
  readonly sep?: SpecialTokenPair
  /** Default `<s>`, 0. */
  readonly cls?: SpecialTokenPair
  /** Whether offsets leave out the spaces around words. Default true. */
  readonly trimOffsets?: boolean
  /** Whether the pre-tokenizer puts a space in front. Default true. */
  readonly addPrefixSpace?: boolean
}

/** `<s> A </s>` and `<s> A </s></s> B </s>`; every type is 0. Liu et al. 2019 (arXiv:1907.11692). */
export class RobertaPostProcessor implements PostProcessor {
  readonly options: Required<RobertaPostProcessorOptions>

  constructor(options: RobertaPostProcessorOptions = {}) {
    this.options = {
      sep: options.sep ?? ['</s>', 2],
      cls: options.cls ?? ['<s>', 0],
      trimOffsets: options.trimOffsets ?? true,
      addPrefixSpace: options.addPrefixSpace ?? true,
    }
  }

  addedTokens(isPair: boolean): number {
    return isPair ? 4 : 2
  }

  process(encodings: readonly Encoding[], addSpecialTokens: boolean, lookup: TokenLookup): readonly Encoding[] {
    const { trimOffsets, addPrefixSpace } = this.options
    const spans = (part: Encoding) => trimSpaces(part, addPrefixSpace)
    const untyped = encodings.map(encoding => encoding.with({ typeId: 0, ...(trimOffsets && { spans }) }))
    if (!addSpecialTokens) return untyped
    const cls = special(this.options.cls, 0, lookup)
    const sep = special(this.options.sep, 0, lookup)
    return untyped.map((encoding, i) => Encoding.join([i === 0 ? cls : sep, encoding, sep], lookup))
  }

  toJSON(): Record<string, unknown> {
    const { sep, cls, trimOffsets, addPrefixSpace } = this.options
    return { type: 'RobertaProcessing', sep, cls, trim_offsets: trimOffsets, add_prefix_space: addPrefixSpace }
  }
}
