import { HeedError } from '../errors.ts'
import { textOfFile } from '../files/text.ts'
import type { TokenizerConfig } from '../tokenizer-config.ts'
import type { ImportedTokenizer } from './imported-tokenizer.ts'
import { importLlama2c } from './llama2c.ts'
import type { PieceOptions } from './piece-model.ts'
import { importSentencePiece } from './sentencepiece.ts'
import { importTiktoken, type TiktokenName, tiktokenEncodings } from './tiktoken.ts'
import { importWordPieces } from './word-pieces.ts'

/**
 * The tokenizer of a vocab.txt, a SentencePiece or LLaMA 3 `.model`, a `.tiktoken` named as its encoding or a llama2.c
 * `.bin`; undefined for other endings. Throws HEED_FILE_INVALID, HEED_CONFIG_INVALID.
 */
export function importFile(path: string, bytes: Uint8Array): ImportedTokenizer | undefined {
  const [, name, ending] = /([^/\\]*)\.([^./\\]+)$/.exec(path) ?? []
  if (ending === 'txt') return importVocabTxt(textOfFile(bytes, path), {}, path)
  if (ending === 'model') return importModelFile(bytes, {}, {})
  if (ending === 'bin') return importLlama2c(bytes)
  if (ending !== 'tiktoken') return undefined
  if (name && Object.hasOwn(tiktokenEncodings, name))
    return importTiktoken(textOfFile(bytes, path), name as TiktokenName)
  throw new HeedError(
    'HEED_ARGUMENT_INVALID',
    `${path}: the name of a rank file tells its encoding, expected one of ${Object.keys(tiktokenEncodings).join(', ')}. ` +
      'Call importTiktoken with the pattern and special tokens instead.',
  )
}

/** The tokenizer of a vocab.txt, as BERT's: one token a line; `source` names it in messages. Throws HEED_CONFIG_INVALID. */
export function importVocabTxt(text: string, config: TokenizerConfig = {}, source = 'vocab.txt'): ImportedTokenizer {
  const tokens = text.split(/\r\n|[\r\n]/)
  if (tokens.at(-1) === '') tokens.pop()
  const flag = (name: string) => (typeof config[name] === 'boolean' ? (config[name] as boolean) : undefined)
  const lowercase = flag('do_lower_case')
  const handleChineseChars = flag('tokenize_chinese_chars')
  return importWordPieces(tokens, {
    ...(lowercase !== undefined && { lowercase }),
    ...(handleChineseChars !== undefined && { handleChineseChars }),
    stripAccents: flag('strip_accents') ?? null,
    specialTokens: config,
    source,
  })
}

/** LLaMA 3 keeps a rank file under the name that LLaMA 2 had for a SentencePiece model; ranks are text, models are not. */
export function importModelFile(bytes: Uint8Array, config: TokenizerConfig, options: PieceOptions): ImportedTokenizer {
  const isRanks = /^[A-Za-z0-9+/]+=* \d+\n/.test(String.fromCharCode(...bytes.subarray(0, 100)))
  if (isRanks) return importTiktoken(new TextDecoder().decode(bytes), rankEncoding(config))
  const flag = (name: string, fallback = false) =>
    typeof config[name] === 'boolean' ? (config[name] as boolean) : fallback
  return importSentencePiece(bytes, {
    ...options,
    addBosToken: flag('add_bos_token', options.addBosToken),
    addEosToken: flag('add_eos_token', options.addEosToken),
  })
}

function rankEncoding(config: TokenizerConfig): TiktokenName {
  return /qwen/i.test(String(config.tokenizer_class)) ? 'qwen' : 'llama3'
}
