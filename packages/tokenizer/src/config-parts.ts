import type { AddedToken } from './added-tokens.ts'
import type { Direction } from './encoding.ts'
import { JsonObject } from './json-object.ts'
import type { TokenizerParts } from './tokenizer.ts'
import { configFile, sideOf, type TokenizerConfig } from './tokenizer-config.ts'
import { parseAddedToken } from './tokenizer-json.ts'
import type { Padding, Truncation } from './truncation.ts'

/**
 * The parts of a tokenizer.json with what tokenizer_config.json says of them, as transformers 5 takes it: tokens that
 * the file lacks, and the sides of padding and truncation. Throws HEED_CONFIG_INVALID.
 */
export function withConfig(parts: TokenizerParts, config: TokenizerConfig): TokenizerParts {
  const inFile = [...(parts.addedTokens ?? [])]
  const addedTokens = [...inFile, ...tokensOfConfig(config, inFile)]
  return {
    ...parts,
    config,
    addedTokens,
    padding: atSide(parts.padding, sideOf(config, 'padding_side')),
    truncation: atSide(parts.truncation, sideOf(config, 'truncation_side')),
  }
}

function atSide<T extends Padding | Truncation>(
  option: T | null | undefined,
  direction: Direction | undefined,
): T | null {
  return option && direction ? { ...option, direction } : (option ?? null)
}

/** Special tokens of each model, in the order in which transformers numbers new ones; other `_token` keys follow. */
const commonNames = ['bos_token', 'eos_token', 'unk_token', 'sep_token', 'pad_token', 'cls_token', 'mask_token']

/** All of `added_tokens_decoder`, and the special tokens that are neither there nor in tokenizer.json. */
function tokensOfConfig(config: TokenizerConfig, inFile: readonly AddedToken[]): AddedToken[] {
  const file = configFile(config)
  const numbered = file.has('added_tokens_decoder') ? file.object('added_tokens_decoder') : undefined
  const added = (numbered?.entries() ?? [])
    .sort(([a], [b]) => Number(a) - Number(b))
    .map(([id]) => parseAddedToken(numbered!.object(id)))
  const known = new Set([...inFile, ...added].map(({ content }) => content))
  const otherNames = Object.keys(config).filter(name => name.endsWith('_token') && !commonNames.includes(name))
  for (const value of [...[...commonNames, ...otherNames].map(name => config[name]), ...extraTokens(config)]) {
    const token = specialToken(value)
    if (!token || known.has(token.content)) continue
    known.add(token.content)
    added.push(token)
  }
  return added
}

/** Special tokens without a name of their own: a list or, in newer files, an object. */
function extraTokens(config: TokenizerConfig): unknown[] {
  const value = config.extra_special_tokens ?? config.additional_special_tokens
  return typeof value === 'object' && value !== null ? Object.values(value) : []
}

function specialToken(value: unknown): AddedToken | undefined {
  if (typeof value === 'string') return { content: value, special: true }
  if (typeof value !== 'object' || value === null || !('content' in value)) return undefined
  return { ...parseAddedToken(JsonObject.of(value, 'tokenizer_config.json')), special: true }
}
