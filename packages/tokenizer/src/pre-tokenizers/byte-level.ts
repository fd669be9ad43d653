import type { PieceSink, PreTokenizedText } from '../pre-tokenized-text.ts'
import type { PreTokenizer } from './pre-tokenizer.ts'

export interface ByteLevelOptions {
  /** Whether a space is put before a text that does not begin with one. Default true. */
  readonly addPrefixSpace?: boolean
  /** Whether the post-processor leaves spaces out of offsets. Default true. */
  readonly trimOffsets?: boolean
  /** Whether the text is cut by the pattern of GPT-2. Default true. */
  readonly useRegex?: boolean
}

/** The pattern of GPT-2's encoder.py: contractions, letters, digits, other signs (each with one space before), spaces. */
const gpt2Pattern =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu

function cutLikeGpt2(text: string, sink: PieceSink): void {
  sink.addAll(text.match(gpt2Pattern) ?? [])
}

/** Cuts like GPT-2 and spells the UTF-8 bytes of each piece in 256 printable characters. Radford et al. 2019. */
export class ByteLevelPreTokenizer implements PreTokenizer {
  readonly options: Required<ByteLevelOptions>

  constructor(options: ByteLevelOptions = {}) {
    this.options = completeByteLevel(options)
  }

  preTokenize(text: PreTokenizedText): void {
    if (this.options.addPrefixSpace) text.map(piece => (piece.text.startsWith(' ') ? piece : piece.prepend(' ')))
    if (this.options.useRegex) text.split(cutLikeGpt2)
    text.toByteLevel()
  }

  toJSON(): Record<string, unknown> {
    return byteLevelJson(this.options)
  }
}

/** The options with HF's defaults. */
export function completeByteLevel(options: ByteLevelOptions): Required<ByteLevelOptions> {
  return {
    addPrefixSpace: options.addPrefixSpace ?? true,
    trimOffsets: options.trimOffsets ?? true,
    useRegex: options.useRegex ?? true,
  }
}

/** The form shared by the three parts that HF calls ByteLevel. */
export function byteLevelJson(options: Required<ByteLevelOptions>): Record<string, unknown> {
  return {
    type: 'ByteLevel',
    add_prefix_space: options.addPrefixSpace,
    trim_offsets: options.trimOffsets,
    use_regex: options.useRegex,
  }
}
