import { HeedError } from '../errors.ts'
import { pieceTypes } from '../importers/piece-model.ts'
import { patternsByName } from '../importers/split-patterns.ts'
import type { Tokenizer } from '../tokenizer.ts'
import { chatTemplatesOf } from '../tokenizer-config.ts'

/** A key-value pair of a GGUF file: the type of the value, or of the items of an array. */
export interface GgufPair {
  readonly type: 'string' | 'float32' | 'int32' | 'uint32' | 'bool'
  readonly value: string | number | boolean | readonly (string | number)[]
}

interface Json {
  model: {
    type?: string
    vocab: Record<string, number>
    merges?: readonly (string | readonly [string, string])[]
    byte_fallback?: boolean
  }
  added_tokens: readonly { id: number; content: string; special: boolean }[]
  pre_tokenizer: unknown
  normalizer: unknown
}

/**
 * The `tokenizer.ggml.*` pairs of a BPE tokenizer, byte-level or with byte fallback, as llama.cpp reads them: what
 * `importGgufVocabulary` reads back with the same ids. `vocabSize` is how many rows the table of embeddings has.
 * Throws HEED_CONFIG_INVALID on what GGUF cannot say.
 */
export function exportGgufVocabulary(tokenizer: Tokenizer, vocabSize: number): Map<string, GgufPair> {
  const json = JSON.parse(JSON.stringify(tokenizer)) as Json
  if (json.model.type !== 'BPE') {
    throw invalid('model.type', json.model.type, 'BPE', 'GGUF files of LLaMA hold no other.')
  }
  const rows = vocabularyRows(json, vocabSize)
  const merges = (json.model.merges ?? []).map(merge => (typeof merge === 'string' ? merge : merge.join(' ')))
  const isBytes = JSON.stringify(json.pre_tokenizer)?.includes('"ByteLevel"') ?? false
  const own = isBytes ? byteLevelPairs(json, merges) : piecePairs(json, rows.tokens, merges)
  const pairs = new Map<string, GgufPair>([
    ...own,
    ['tokenizer.ggml.tokens', { type: 'string', value: rows.tokens }],
    ['tokenizer.ggml.token_type', { type: 'int32', value: rows.types }],
    ['tokenizer.ggml.add_bos_token', { type: 'bool', value: startToken(tokenizer) !== undefined }],
    ['tokenizer.ggml.add_eos_token', { type: 'bool', value: false }],
  ])
  for (const [key, name] of Object.entries(tokenNames)) {
    const content = contentOf(tokenizer.config[name])
    const id = content === undefined ? undefined : tokenizer.tokenToId(content)
    if (id !== undefined) pairs.set(`tokenizer.ggml.${key}_token_id`, { type: 'uint32', value: id })
  }
  for (const [key, pair] of templatePairs(tokenizer)) pairs.set(key, pair)
  return pairs
}

/** The chat templates, as gguf-py writes them: the default one, and others with their names apart. */
function templatePairs({ config }: Tokenizer): [key: string, GgufPair][] {
  const templates = [...chatTemplatesOf(config)].map(([name, value]) => ({
    name: name.replace(/[^a-zA-Z0-9]/g, '_'),
    pair: { type: 'string', value } as const,
  }))
  const others = templates.filter(({ name }) => name !== 'default')
  return [
    ...templates.map(({ name, pair }): [string, GgufPair] => [
      name === 'default' ? 'tokenizer.chat_template' : `tokenizer.chat_template.${name}`,
      pair,
    ]),
    ...(others.length > 0
      ? [['tokenizer.chat_templates', { type: 'string', value: others.map(({ name }) => name) }] as [string, GgufPair]]
      : []),
  ]
}

const tokenNames = { bos: 'bos_token', eos: 'eos_token', unknown: 'unk_token', padding: 'pad_token' }

function contentOf(token: unknown): string | undefined {
  if (typeof token === 'string') return token
  const content = (token as { content?: unknown } | null | undefined)?.content
  return typeof content === 'string' ? content : undefined
}

function invalid(key: string, value: unknown, expected: string, mend: string): HeedError {
  return new HeedError(
    'HEED_CONFIG_INVALID',
    `GGUF vocabulary: ${key} is ${JSON.stringify(value) ?? 'missing'}, expected ${expected}. ${mend}`,
  )
}

/** The token that the tokenizer puts before every text. */
function startToken(tokenizer: Tokenizer): string | undefined {
  const bos = contentOf(tokenizer.config.bos_token)
  const [first] = tokenizer.encode('').ids
  return bos !== undefined && first !== undefined && tokenizer.tokenToId(bos) === first ? bos : undefined
}

/** Tokens by id with their types; rows of the table that no token has are filled up. */
function vocabularyRows(
  { model, added_tokens: added }: Json,
  vocabSize: number,
): { tokens: string[]; types: number[] } {
  const tokens = Array.from({ length: vocabSize }, (_, id) => `[PAD${id}]`)
  const types = Array<number>(vocabSize).fill(pieceTypes.unused)
  const put = (id: number, text: string, type: number): void => {
    if (id >= vocabSize) {
      throw invalid('vocabulary', id, `ids below vocab_size (${vocabSize})`, 'The tokenizer is of another model.')
    }
    tokens[id] = text
    types[id] = type
  }
  const isByte = (text: string): boolean => model.byte_fallback === true && /^<0x[0-9A-F]{2}>$/.test(text)
  for (const [text, id] of Object.entries(model.vocab))
    put(id, text, isByte(text) ? pieceTypes.byte : pieceTypes.normal)
  for (const { id, content, special } of added) {
    const type = content === '<unk>' ? pieceTypes.unknown : special ? pieceTypes.control : pieceTypes.userDefined
    put(id, content, type)
  }
  return { tokens, types }
}

function byteLevelPairs(json: Json, merges: readonly string[]): [string, GgufPair][] {
  return [
    ['tokenizer.ggml.model', { type: 'string', value: 'gpt2' }],
    ['tokenizer.ggml.pre', { type: 'string', value: patternName(json.pre_tokenizer) }],
    ['tokenizer.ggml.merges', { type: 'string', value: merges }],
  ]
}

/** GGUF's name of the patterns that a byte-level tokenizer cuts by. */
function patternName(preTokenizer: unknown): string {
  const steps = ((preTokenizer as { pretokenizers?: unknown[] } | null)?.pretokenizers ?? [preTokenizer]) as Record<
    string,
    unknown
  >[]
  const patterns: string[] = []
  for (const step of steps) {
    if (step.type === 'Split') patterns.push(String((step.pattern as { Regex?: string }).Regex ?? ''))
    if (step.type === 'Digits' && step.individual_digits === true) patterns.push('\\p{N}')
    if (step.type === 'ByteLevel' && step.use_regex !== false) patterns.push(patternsByName.get('gpt-2')![0]!)
  }
  for (const [name, known] of patternsByName) if (known.join('\n') === patterns.join('\n')) return name
  throw invalid(
    'pre_tokenizer',
    patterns,
    'patterns that llama.cpp has a name for',
    'Such a tokenizer cannot go into GGUF.',
  )
}

/** SentencePiece joins the pair whose whole has the highest score; a merge's rank from below is such a score. */
function piecePairs(json: Json, tokens: readonly string[], merges: readonly string[]): [string, GgufPair][] {
  const scores = new Map<string, number>()
  for (const [rank, merge] of merges.entries()) {
    const whole = merge.replace(' ', '')
    if (!scores.has(whole)) scores.set(whole, -rank)
  }
  const normalizers = JSON.stringify([json.normalizer, json.pre_tokenizer])
  const addsPrefix = /"Prepend"|"prepend_scheme":"(first|always)"/.test(normalizers)
  return [
    ['tokenizer.ggml.model', { type: 'string', value: 'llama' }],
    ['tokenizer.ggml.pre', { type: 'string', value: 'default' }],
    ['tokenizer.ggml.scores', { type: 'float32', value: tokens.map(token => scores.get(token) ?? -merges.length - 1) }],
    ['tokenizer.ggml.add_space_prefix', { type: 'bool', value: addsPrefix }],
  ]
}
