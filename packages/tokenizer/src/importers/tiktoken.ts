import { byteCharacters } from '../byte-alphabet.ts'
import { HeedError } from '../errors.ts'
import { byteLevelJson, byteLevelModel, byteLevelPreTokenizer } from './byte-level-json.ts'
import { addedTokenRow, type ImportedTokenizer, surroundingTemplate } from './imported-tokenizer.ts'
import { CL100K_PATTERN, GPT2_PATTERN, O200K_PATTERN, QWEN_PATTERN } from './split-patterns.ts'

/** What a rank file leaves open. */
export interface TiktokenEncoding {
  /** Regular expression that cuts texts into words. */
  readonly pattern: string
  /** Ids of tokens beside the ranks. */
  readonly specialTokens?: Readonly<Record<string, number>>
  /** The token of `specialTokens` that encode puts before a text; default none. */
  readonly bosToken?: string
  readonly eosToken?: string
  /** Whether texts are brought to NFC first. Default false. */
  readonly normalizesNfc?: boolean
}

const llama3Names: Readonly<Record<number, string>> = {
  0: 'begin_of_text',
  1: 'end_of_text',
  4: 'finetune_right_pad_id',
  6: 'start_header_id',
  7: 'end_header_id',
  8: 'eom_id',
  9: 'eot_id',
  10: 'python_tag',
}

/** LLaMA 3's 256 tokens behind the ranks; those without a purpose are numbered (meta-llama/Llama-3.1, tokenizer.json). */
function llama3Tokens(): Record<string, number> {
  let reserved = 0
  const name = (i: number) => llama3Names[i] ?? `reserved_special_token_${reserved++}`
  return Object.fromEntries(Array.from({ length: 256 }, (_, i) => [`<|${name(i)}|>`, 128000 + i]))
}

const endOfText = (id: number) => ({ specialTokens: { '<|endoftext|>': id }, eosToken: '<|endoftext|>' })

export type TiktokenName =
  | 'gpt2'
  | 'r50k_base'
  | 'p50k_base'
  | 'p50k_edit'
  | 'cl100k_base'
  | 'o200k_base'
  | 'llama3'
  | 'qwen'

/** Patterns and special tokens of openai/tiktoken, LLaMA 3 and Qwen, by name. */
export const tiktokenEncodings: Readonly<Record<TiktokenName, TiktokenEncoding>> = {
  gpt2: { pattern: GPT2_PATTERN, ...endOfText(50256) },
  r50k_base: { pattern: GPT2_PATTERN, ...endOfText(50256) },
  p50k_base: { pattern: GPT2_PATTERN, ...endOfText(50256) },
  p50k_edit: {
    pattern: GPT2_PATTERN,
    eosToken: '<|endoftext|>',
    specialTokens: {
      '<|endoftext|>': 50256,
      '<|fim_prefix|>': 50281,
      '<|fim_middle|>': 50282,
      '<|fim_suffix|>': 50283,
    },
  },
  cl100k_base: {
    pattern: CL100K_PATTERN,
    eosToken: '<|endoftext|>',
    specialTokens: {
      '<|endoftext|>': 100257,
      '<|fim_prefix|>': 100258,
      '<|fim_middle|>': 100259,
      '<|fim_suffix|>': 100260,
      '<|endofprompt|>': 100276,
    },
  },
  o200k_base: {
    pattern: O200K_PATTERN,
    eosToken: '<|endoftext|>',
    specialTokens: { '<|endoftext|>': 199999, '<|endofprompt|>': 200018 },
  },
  llama3: {
    pattern: CL100K_PATTERN,
    specialTokens: llama3Tokens(),
    bosToken: '<|begin_of_text|>',
    eosToken: '<|end_of_text|>',
  },
  qwen: {
    pattern: QWEN_PATTERN,
    normalizesNfc: true,
    specialTokens: { '<|endoftext|>': 151643, '<|im_start|>': 151644, '<|im_end|>': 151645 },
    eosToken: '<|endoftext|>',
  },
}

/**
 * The tokenizer of a tiktoken rank file (lines of a token in base64 and its rank): same ids as tiktoken.
 * Throws HEED_FILE_INVALID.
 */
export function importTiktoken(file: string, encoding: TiktokenName | TiktokenEncoding): ImportedTokenizer {
  const chosen = typeof encoding === 'string' ? tiktokenEncodings[encoding] : encoding
  const { pattern, specialTokens = {}, bosToken, eosToken } = chosen
  const ranks = readRanks(file)
  // In the vocabulary too: HF gives an added token that the model lacks the next free id, whatever the file says.
  const vocab = Object.fromEntries([...ranks, ...Object.entries(specialTokens)])
  const bos = bosToken === undefined ? undefined : { content: bosToken, id: specialTokens[bosToken]! }
  const template = surroundingTemplate(bos, undefined)
  const offsets = byteLevelJson({ trim_offsets: false })
  return {
    tokenizer: {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: Object.entries(specialTokens).map(([content, id]) => addedTokenRow(id, content)),
      normalizer: chosen.normalizesNfc ? { type: 'NFC' } : null,
      pre_tokenizer: byteLevelPreTokenizer([pattern]),
      post_processor: template ? { type: 'Sequence', processors: [offsets, template] } : offsets,
      decoder: byteLevelJson(),
      model: byteLevelModel({ vocab, merges: mergesOf(ranks), ignoreMerges: true }),
    },
    config: {
      ...(bosToken !== undefined && { bos_token: bosToken }),
      ...(eosToken !== undefined && { eos_token: eosToken }),
    },
  }
}

/** Tokens as byte characters, by ascending rank. */
function readRanks(file: string): Map<string, number> {
  const rows: [string, number][] = []
  for (const [i, line] of file.split('\n').entries()) {
    const row = line.trim()
    if (row === '') continue
    const match = /^([A-Za-z0-9+/]+={0,2})[ \t]+(\d+)$/.exec(row)
    if (!match) throw brokenLine(i, line)
    rows.push([fromBase64(match[1]!, i), Number(match[2])])
  }
  return new Map(rows.sort(([, a], [, b]) => a - b))
}

function fromBase64(base64: string, line: number): string {
  let binary: string
  try {
    binary = atob(base64)
  } catch {
    throw brokenLine(line, base64)
  }
  let token = ''
  for (let i = 0; i < binary.length; i++) token += byteCharacters[binary.charCodeAt(i)]
  return token
}

function brokenLine(i: number, line: string): HeedError {
  return new HeedError(
    'HEED_FILE_INVALID',
    `tiktoken file: line ${i + 1} is ${JSON.stringify(line.slice(0, 60))}, expected a token in base64 and its rank. ` +
      'Fetch the file again.',
  )
}

/** Every way of joining two tokens into a third, by its rank: what tiktoken tries, written as merges. */
function mergesOf(ranks: ReadonlyMap<string, number>): [string, string][] {
  const merges: [string, string][] = []
  for (const token of ranks.keys()) {
    const splits: [left: number, right: number, at: number][] = []
    for (let i = 1; i < token.length; i++) {
      const left = ranks.get(token.slice(0, i))
      const right = left === undefined ? undefined : ranks.get(token.slice(i))
      if (left !== undefined && right !== undefined) splits.push([left, right, i])
    }
    splits.sort((a, b) => a[0] - b[0] || a[1] - b[1])
    for (const [, , at] of splits) merges.push([token.slice(0, at), token.slice(at)])
  }
  return merges
}
