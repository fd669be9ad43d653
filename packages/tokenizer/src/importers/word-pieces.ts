import { HeedError } from '../errors.ts'
import type { TokenizerConfig } from '../tokenizer-config.ts'
import { addedTokenRow, type ImportedTokenizer, templateProcessing } from './imported-tokenizer.ts'

export interface WordPieceOptions {
  /** Whether texts become lower case. Default true, as HF's BertTokenizer. */
  readonly lowercase?: boolean
  /** Whether accents are taken off; null (default) does so where texts become lower case. */
  readonly stripAccents?: boolean | null
  /** Whether each Chinese character is a word. Default true. */
  readonly handleChineseChars?: boolean
  /** Other names of the special tokens; defaults `[UNK]`, `[SEP]`, `[CLS]`, `[PAD]`, `[MASK]`. */
  readonly specialTokens?: TokenizerConfig
  /** What messages call the vocabulary; default `vocab.txt`. */
  readonly source?: string
}

const bertTokens = {
  unk_token: '[UNK]',
  sep_token: '[SEP]',
  pad_token: '[PAD]',
  cls_token: '[CLS]',
  mask_token: '[MASK]',
} as const

/** The tokenizer of a BERT vocabulary, token i with id i. Throws HEED_CONFIG_INVALID. */
export function importWordPieces(tokens: readonly string[], options: WordPieceOptions = {}): ImportedTokenizer {
  const ids = new Map(tokens.map((token, id) => [token, id]))
  const names = { ...bertTokens, ...options.specialTokens } as Record<keyof typeof bertTokens, string>
  const special = Object.values(names).flatMap(content => {
    const id = ids.get(content)
    return id === undefined ? [] : [{ content, id }]
  })
  const tokenOf = (name: keyof typeof bertTokens): { content: string; id: number } => {
    const id = ids.get(names[name])
    if (id !== undefined) return { content: names[name], id }
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      `${options.source ?? 'vocab.txt'}: ${name} is ${JSON.stringify(names[name])}, expected a line of the file. ` +
        'Add the line, or name the token in tokenizer_config.json.',
    )
  }
  const [cls, sep] = [tokenOf('cls_token'), tokenOf('sep_token')]
  return {
    tokenizer: {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: special.sort((a, b) => a.id - b.id).map(({ id, content }) => addedTokenRow(id, content)),
      normalizer: {
        type: 'BertNormalizer',
        clean_text: true,
        handle_chinese_chars: options.handleChineseChars ?? true,
        strip_accents: options.stripAccents ?? null,
        lowercase: options.lowercase ?? true,
      },
      pre_tokenizer: { type: 'BertPreTokenizer' },
      post_processor: templateProcessing(
        [
          [cls, 0],
          ['A', 0],
          [sep, 0],
        ],
        [
          [cls, 0],
          ['A', 0],
          [sep, 0],
          ['B', 1],
          [sep, 1],
        ],
      ),
      decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
      model: {
        type: 'WordPiece',
        unk_token: tokenOf('unk_token').content,
        continuing_subword_prefix: '##',
        max_input_chars_per_word: 100,
        vocab: Object.fromEntries(ids),
      },
    },
    config: names,
  }
}
