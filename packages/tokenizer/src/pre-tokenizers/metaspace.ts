import type { NormalizedText } from '../normalized-text.ts'
import type { PreTokenizedText } from '../pre-tokenized-text.ts'
import { literalPattern, matchSpans } from '../regex.ts'
import { cutByPattern } from './cut.ts'
import type { PreTokenizer } from './pre-tokenizer.ts'

export type PrependScheme = 'first' | 'never' | 'always'

export interface MetaspaceOptions {
  /** The character that stands for a space. Default U+2581. */
  readonly replacement?: string
  /** Where one is put in front: at the start of the text, of each piece between added tokens, or nowhere. Default always. */
  readonly prependScheme?: PrependScheme
  /** Whether each replacement begins a piece. Default true. */
  readonly split?: boolean
}

/** The options with HF's defaults. */
export function completeMetaspace(options: MetaspaceOptions): Required<MetaspaceOptions> {
  return {
    replacement: options.replacement ?? '\u2581',
    prependScheme: options.prependScheme ?? 'always',
    split: options.split ?? true,
  }
}

/** The form shared by the two parts that HF calls Metaspace. */
export function metaspaceJson(options: Required<MetaspaceOptions>): Record<string, unknown> {
  const { replacement, prependScheme, split } = options
  return { type: 'Metaspace', replacement, prepend_scheme: prependScheme, split }
}

/** Makes spaces visible and cuts before each, as SentencePiece does. Kudo & Richardson 2018 (arXiv:1808.06226). */
export class MetaspacePreTokenizer implements PreTokenizer {
  readonly options: Required<MetaspaceOptions>
  private readonly pattern: RegExp

  constructor(options: MetaspaceOptions = {}) {
    this.options = completeMetaspace(options)
    this.pattern = literalPattern(this.options.replacement)
  }

  preTokenize(text: PreTokenizedText): void {
    text.map(piece => this.mark(piece))
    if (this.options.split) {
      text.split((piece, sink) => cutByPattern(piece, this.pattern, 'MergedWithNext', false, sink))
    }
  }

  toJSON(): Record<string, unknown> {
    return metaspaceJson(this.options)
  }

  private mark(piece: NormalizedText): NormalizedText {
    const { replacement, prependScheme } = this.options
    const marked =
      replacement.length === 1
        ? piece.withText(piece.text.replaceAll(' ', replacement))
        : piece.replaceSpans(matchSpans(piece.text, / /g), replacement)
    const isPrepended = prependScheme === 'always' || (prependScheme === 'first' && piece.origin === 0)
    return isPrepended && !marked.text.startsWith(replacement) ? marked.prepend(replacement) : marked
  }
}
