import { HeedError } from '../errors.ts'
import type { TokenizerConfig } from '../tokenizer-config.ts'
import { byteLevelJson, byteLevelModel, byteLevelPreTokenizer } from './byte-level-json.ts'
import { addedTokenRow, type ImportedTokenizer, surroundingTemplate } from './imported-tokenizer.ts'
import { type PieceModel, pieceTypes, tokenizerOfPieces, type VocabularyPiece } from './piece-model.ts'
import { patternsByName } from './split-patterns.ts'
import { importWordPieces } from './word-pieces.ts'

type Metadata = Readonly<Record<string, unknown>>

const SPACE = '\u2581'

const importers: Readonly<Record<string, (file: GgufVocabulary) => ImportedTokenizer>> = {
  llama: file => importPieces(file, 'bpe', true, false),
  t5: file => importPieces(file, 'unigram', false, true),
  gpt2: importByteLevel,
  bert: importBert,
}

/**
 * The tokenizer that a GGUF file embeds, from the key-value pairs at its head (`tokenizer.ggml.*`; numbers may be
 * bigint, arrays may be typed): same ids as the model it was made from.
 * `source` names the file in messages. Throws HEED_FILE_NOT_FOUND when it embeds none, HEED_CONFIG_INVALID.
 */
export function importGgufVocabulary(metadata: Metadata, source = 'GGUF vocabulary'): ImportedTokenizer {
  if (!hasVocabulary(metadata)) {
    throw new HeedError('HEED_FILE_NOT_FOUND', `${source}: there is no tokenizer in this file. Load one of its own.`)
  }
  const file = new GgufVocabulary(metadata, source)
  const model = metadata['tokenizer.ggml.model']
  const importer = typeof model === 'string' ? importers[model] : undefined
  if (!importer) throw file.invalid('model', Object.keys(importers).join(', '))
  const { tokenizer, config } = importer(file)
  const templates = templatesOf(metadata)
  const maxLength = metadata[`${String(metadata['general.architecture'])}.context_length`]
  return {
    tokenizer,
    config: {
      ...config,
      ...(maxLength !== undefined && { model_max_length: Number(maxLength) }),
      ...(templates !== undefined && { chat_template: templates }),
    },
  }
}

/** The default chat template as its text, or with others by their names. */
function templatesOf(metadata: Metadata): TokenizerConfig['chat_template'] {
  const others = metadata['tokenizer.chat_templates']
  const names = ['default', ...(Array.isArray(others) ? others.map(String) : [])]
  const found = names.flatMap(name => {
    const template = metadata[name === 'default' ? 'tokenizer.chat_template' : `tokenizer.chat_template.${name}`]
    return typeof template === 'string' ? [{ name, template }] : []
  })
  if (found.length === 0) return undefined
  return found.length === 1 && found[0]!.name === 'default' ? found[0]!.template : found
}

/** llama.cpp calls the tokenizer of a file without one `none` or `no_vocab`; some tools leave out the keys. */
function hasVocabulary(metadata: Metadata): boolean {
  const model = metadata['tokenizer.ggml.model']
  return model === undefined ? 'tokenizer.ggml.tokens' in metadata : model !== 'none' && model !== 'no_vocab'
}

/** Typed views of the keys. */
class GgufVocabulary {
  readonly tokens: readonly string[]

  constructor(
    private readonly metadata: Metadata,
    private readonly source: string,
  ) {
    this.tokens = this.list('tokens').map(String)
    if (this.tokens.length === 0) throw this.invalid('tokens', 'a list of texts')
  }

  get(key: string): unknown {
    return this.metadata[`tokenizer.ggml.${key}`]
  }

  invalid(key: string, expected: string): HeedError {
    const value = this.get(key)
    return new HeedError(
      'HEED_CONFIG_INVALID',
      `${this.source}: tokenizer.ggml.${key} is ${value === undefined ? 'missing' : JSON.stringify(value)}, ` +
        `expected ${expected}. Convert the model anew.`,
    )
  }

  list(key: string): unknown[] {
    const value = this.get(key) ?? []
    if (typeof value === 'object' && Symbol.iterator in value) return [...(value as Iterable<unknown>)]
    throw this.invalid(key, 'an array')
  }

  /** An id, or -1. */
  id(key: string): number {
    const value = this.get(`${key}_token_id`)
    return value === undefined ? -1 : Number(value)
  }

  flag(key: string, fallback: boolean): boolean {
    const value = this.get(key)
    return typeof value === 'boolean' ? value : fallback
  }

  types(): number[] {
    const types = this.list('token_type').map(Number)
    return this.tokens.map((_, id) => types[id] ?? pieceTypes.normal)
  }

  token(key: string): { content: string; id: number } | undefined {
    const id = this.id(key)
    const content = this.tokens[id]
    return content === undefined ? undefined : { content, id }
  }

  /** The config's names of special tokens, of those that the file names. */
  config(names: Readonly<Record<string, string>>): Record<string, string> {
    return Object.fromEntries(
      Object.entries(names).flatMap(([key, name]) => {
        const token = this.token(key)
        return token ? [[name, token.content]] : []
      }),
    )
  }
}

const commonTokens = { bos: 'bos_token', eos: 'eos_token', unknown: 'unk_token', padding: 'pad_token' }

function importPieces(
  file: GgufVocabulary,
  algorithm: PieceModel['algorithm'],
  addsBos: boolean,
  addsEos: boolean,
): ImportedTokenizer {
  const scores = file.list('scores').map(Number)
  const types = file.types()
  const pieces = file.tokens.map((text, id): VocabularyPiece => ({ text, score: scores[id] ?? 0, type: types[id]! }))
  const unkId = file.id('unknown')
  const model: PieceModel = {
    algorithm,
    pieces,
    unkId: unkId < 0 ? types.indexOf(pieceTypes.unknown) : unkId,
    bosId: file.id('bos'),
    eosId: file.id('eos'),
    padId: file.id('padding'),
    byteFallback: types.includes(pieceTypes.byte),
    charsmap: Uint8Array.from(file.list('precompiled_charsmap').map(Number)),
    addsDummyPrefix: file.flag('add_space_prefix', true),
    removesExtraSpaces: file.flag('remove_extra_whitespaces', false),
    whitespaceIsSuffix: false,
  }
  const options = {
    addBosToken: file.flag('add_bos_token', addsBos),
    addEosToken: file.flag('add_eos_token', addsEos),
  }
  return tokenizerOfPieces(model, options, 'GGUF vocabulary')
}

/** Names of patterns whose models take a word that is a token whole, and normalize to NFC. */
const takesWholeWords: ReadonlySet<string> = new Set(
  'llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral tekken gpt-4o llama4'.split(' '),
)
const normalizesNfc: ReadonlySet<string> = new Set('qwen2 deepseek-r1-qwen'.split(' '))

function importByteLevel(file: GgufVocabulary): ImportedTokenizer {
  const name = String(file.get('pre') ?? 'gpt-2')
  const patterns = patternsByName.get(name)
  if (!patterns) throw file.invalid('pre', `one of ${[...patternsByName.keys()].join(', ')}`)
  const isLlama3 = takesWholeWords.has(name) && name !== 'gpt-4o'
  const surround = surroundingTemplate(
    file.flag('add_bos_token', isLlama3) ? file.token('bos') : undefined,
    file.flag('add_eos_token', false) ? file.token('eos') : undefined,
  )
  const offsets = byteLevelJson({ trim_offsets: false })
  const added = file.types().flatMap((type, id) => {
    if (type !== pieceTypes.control && type !== pieceTypes.userDefined) return []
    return [addedTokenRow(id, file.tokens[id]!, { special: type === pieceTypes.control })]
  })
  const vocab = Object.fromEntries(file.tokens.map((token, id) => [token, id]))
  const merges = file.list('merges').map((merge): [string, string] => {
    const text = String(merge)
    const at = text.indexOf(' ', 1)
    return [text.slice(0, at), text.slice(at + 1)]
  })
  return {
    tokenizer: {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: added,
      normalizer: normalizesNfc.has(name) ? { type: 'NFC' } : null,
      pre_tokenizer: byteLevelPreTokenizer(patterns),
      post_processor: surround ? { type: 'Sequence', processors: [offsets, surround] } : offsets,
      decoder: byteLevelJson(),
      model: byteLevelModel({ vocab, merges, ignoreMerges: takesWholeWords.has(name) }),
    },
    config: file.config(commonTokens),
  }
}

/** GGUF marks the beginnings of words with `▁`; BERT marks all but them with `##`. */
function importBert(file: GgufVocabulary): ImportedTokenizer {
  const types = file.types()
  const tokens = file.tokens.map((token, id) => {
    if (types[id] !== pieceTypes.normal || /^\[(unused\d+|[A-Z]+)\]$/.test(token)) return token
    return token.startsWith(SPACE) ? token.slice(1) : `##${token}`
  })
  const isCased = tokens.some(token => /^(##)?[A-Z]/.test(token))
  const special = file.config({
    unknown: 'unk_token',
    seperator: 'sep_token',
    cls: 'cls_token',
    padding: 'pad_token',
    mask: 'mask_token',
  })
  return importWordPieces(tokens, { lowercase: !isCased, specialTokens: special })
}
