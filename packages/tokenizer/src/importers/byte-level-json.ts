import { GPT2_PATTERN } from './split-patterns.ts'

/** The object of a ByteLevel, which is a pre-tokenizer, a post-processor and a decoder. */
export function byteLevelJson(
  flags: Partial<Record<'add_prefix_space' | 'trim_offsets' | 'use_regex', boolean>> = {},
): Record<string, unknown> {
  return { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true, ...flags }
}

/** Cuts by each pattern in turn, then turns bytes into characters. */
export function byteLevelPreTokenizer(patterns: readonly string[]): Record<string, unknown> {
  if (patterns.length === 1 && patterns[0] === GPT2_PATTERN) return byteLevelJson()
  const splits = patterns.map(Regex => ({ type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false }))
  return { type: 'Sequence', pretokenizers: [...splits, byteLevelJson({ use_regex: false })] }
}

interface ByteLevelBpe {
  readonly vocab: Readonly<Record<string, number>>
  readonly merges: readonly (readonly [string, string])[]
  /** Whether a word that is a token is taken whole, as tiktoken does. */
  readonly ignoreMerges?: boolean
}

/** The object of a BPE model over byte characters, which knows every character and so has no unknown token. */
export function byteLevelModel({ vocab, merges, ignoreMerges = false }: ByteLevelBpe): Record<string, unknown> {
  return {
    type: 'BPE',
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: false,
    byte_fallback: false,
    ignore_merges: ignoreMerges,
    vocab,
    merges,
  }
}
