import { type AddedToken, isSameToken } from './added-tokens.ts'
import type { Direction } from './encoding.ts'
import { JsonObject } from './json-object.ts'
import type { TokenizerParts } from './tokenizer.ts'
import { configFile, sideOf, type TokenizerConfig } from './tokenizer-config.ts'
import { parseAddedToken } from './tokenizer-json.ts'
import type { Padding, Truncation } from './truncation.ts'

/**
 * The parts of a tokenizer.json with what tokenizer_config.json says of them, as transformers 5 takes it: tokens that
 * the file lacks, and the sides of padding and truncation. `legacyTokens` are the object of an added_tokens.json.
 * Throws HEED_CONFIG_INVALID.
 */
export function withConfig(parts: TokenizerParts, config: TokenizerConfig, legacyTokens?: unknown): TokenizerParts {
  const inFile = [...(parts.addedTokens ?? [])]
  const addedTokens = [...inFile, ...tokensOfConfig(config, inFile, legacyTokens)]
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

/** All of `added_tokens_decoder` or added_tokens.json, and the special tokens that are neither there nor in tokenizer.json. */
function tokensOfConfig(
  config: TokenizerConfig,
  inFile: readonly AddedToken[],
  legacyTokens: unknown = {},
): AddedToken[] {
  const otherNames = Object.keys(config).filter(name => name.endsWith('_token') && !commonNames.includes(name))
  const named = [...commonNames, ...otherNames].flatMap(name => specialToken(config[name]) ?? [])
  const extra = tokensIn(config.extra_special_tokens)
  const added = [
    ...numberedTokens(config, inFile, contentsOf(named)),
    ...tokensByNumber(legacyTokens, inFile, contentsOf([...named, ...extra])),
  ]
  const known = contentsOf([...inFile, ...added])
  for (const token of [...named, ...(extra.length > 0 ? extra : tokensIn(config.additional_special_tokens))]) {
    if (known.has(token.content)) continue
    known.add(token.content)
    added.push(token)
  }
  return added
}

/** Those of `added_tokens_decoder`; one that the config names is special, unless tokenizer.json has it as it is. */
function numberedTokens(
  config: TokenizerConfig,
  inFile: readonly AddedToken[],
  named: ReadonlySet<string>,
): AddedToken[] {
  const file = configFile(config)
  if (!file.has('added_tokens_decoder')) return []
  const rows = file.object('added_tokens_decoder')
  const byContent = new Map(inFile.map(token => [token.content, token]))
  return ascending(rows.entries().map(([id]) => [Number(id), rows.object(id)])).map(row => {
    const token = parseAddedToken(row)
    const same = byContent.get(token.content)
    if (token.special || !named.has(token.content) || (same && isSameToken(same, token))) return token
    return { ...token, special: true, normalized: row.boolean('normalized', false) }
  })
}

/** Those of an added_tokens.json, `{ "<token>": id }`, as the ids order them; tokenizer.json knows more of those that it has. */
function tokensByNumber(json: unknown, inFile: readonly AddedToken[], special: ReadonlySet<string>): AddedToken[] {
  const file = JsonObject.of(json, 'added_tokens.json')
  const contents = contentsOf(inFile)
  return ascending(file.entries().map(([content]) => [file.count(content), content]))
    .filter(content => !contents.has(content))
    .map(content => ({ content, special: special.has(content) }))
}

function ascending<T>(rows: [id: number, value: T][]): T[] {
  return rows.sort(([a], [b]) => a - b).map(([, value]) => value)
}

const contentsOf = (tokens: readonly AddedToken[]): Set<string> => new Set(tokens.map(({ content }) => content))

/** Special tokens without a name of their own: a list or, in newer files, an object. */
function tokensIn(value: unknown): AddedToken[] {
  const values = typeof value === 'object' && value !== null ? Object.values(value) : []
  return values.flatMap(each => specialToken(each) ?? [])
}

function specialToken(value: unknown): AddedToken | undefined {
  if (typeof value === 'string') return { content: value, special: true }
  if (typeof value !== 'object' || value === null || !('content' in value)) return undefined
  return { ...parseAddedToken(JsonObject.of(value, 'tokenizer_config.json')), special: true }
}
