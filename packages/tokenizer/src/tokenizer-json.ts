import type { AddedToken } from './added-tokens.ts'
import { decoderFromJson } from './decoders/from-json.ts'
import { JsonObject } from './json-object.ts'
import { modelFromJson } from './models/from-json.ts'
import { normalizerFromJson } from './normalizers/from-json.ts'
import { postProcessorFromJson } from './post-processors/from-json.ts'
import { preTokenizerFromJson } from './pre-tokenizers/from-json.ts'
import type { Tokenizer, TokenizerParts } from './tokenizer.ts'
import type { Padding, Truncation } from './truncation.ts'

const strategies = { LongestFirst: 'longestFirst', OnlyFirst: 'onlyFirst', OnlySecond: 'onlySecond' } as const
const directions = { Left: 'left', Right: 'right' } as const
type Strategy = keyof typeof strategies
type DirectionName = keyof typeof directions

/** The parts that a tokenizer.json describes. Throws HEED_CONFIG_INVALID. */
export function parseTokenizer(json: unknown): TokenizerParts {
  const file = JsonObject.of(json, 'tokenizer.json')
  const version = file.string('version', '1.0')
  if (version !== '1.0') throw file.invalid('version', '"1.0"')
  const optional = <T>(key: string, parse: (object: JsonObject) => T) =>
    file.has(key) ? parse(file.object(key)) : null
  return {
    model: modelFromJson(file.object('model')),
    normalizer: optional('normalizer', normalizerFromJson),
    preTokenizer: optional('pre_tokenizer', preTokenizerFromJson),
    postProcessor: optional('post_processor', postProcessorFromJson),
    decoder: optional('decoder', decoderFromJson),
    truncation: optional('truncation', parseTruncation),
    padding: optional('padding', parsePadding),
    addedTokens: file.objects('added_tokens', []).map(parseAddedToken),
  }
}

/** One row of `added_tokens`. Throws HEED_CONFIG_INVALID. */
export function parseAddedToken(token: JsonObject): AddedToken {
  const special = token.boolean('special', false)
  return {
    content: token.string('content'),
    singleWord: token.boolean('single_word', false),
    lstrip: token.boolean('lstrip', false),
    rstrip: token.boolean('rstrip', false),
    normalized: token.boolean('normalized', !special),
    special,
  }
}

function parseTruncation(object: JsonObject): Truncation {
  return {
    maxLength: object.count('max_length'),
    stride: object.count('stride', 0),
    strategy:
      strategies[object.choice<Strategy>('strategy', ['LongestFirst', 'OnlyFirst', 'OnlySecond'], 'LongestFirst')],
    direction: directions[object.choice<DirectionName>('direction', ['Left', 'Right'], 'Right')],
  }
}

function parsePadding(object: JsonObject): Padding {
  return {
    ...(object.get('strategy') !== 'BatchLongest' && { length: object.object('strategy').count('Fixed') }),
    direction: directions[object.choice<DirectionName>('direction', ['Left', 'Right'], 'Right')],
    padToMultipleOf: object.has('pad_to_multiple_of') ? object.count('pad_to_multiple_of') : null,
    padId: object.count('pad_id', 0),
    padTypeId: object.count('pad_type_id', 0),
    padToken: object.string('pad_token', '[PAD]'),
  }
}

function nameOf<T extends string>(names: Readonly<Record<string, T>>, value: T): string | undefined {
  return Object.keys(names).find(name => names[name] === value)
}

function truncationToJson(truncation: Truncation): Record<string, unknown> {
  return {
    direction: nameOf(directions, truncation.direction ?? 'right'),
    max_length: truncation.maxLength,
    strategy: nameOf(strategies, truncation.strategy ?? 'longestFirst'),
    stride: truncation.stride ?? 0,
  }
}

function paddingToJson(padding: Padding): Record<string, unknown> {
  return {
    strategy: padding.length === undefined ? 'BatchLongest' : { Fixed: padding.length },
    direction: nameOf(directions, padding.direction ?? 'right'),
    pad_to_multiple_of: padding.padToMultipleOf ?? null,
    pad_id: padding.padId ?? 0,
    pad_type_id: padding.padTypeId ?? 0,
    pad_token: padding.padToken ?? '[PAD]',
  }
}

/** The object of a tokenizer.json, keys in HF's order. */
export function tokenizerToJson(tokenizer: Tokenizer): Record<string, unknown> {
  return {
    version: '1.0',
    truncation: tokenizer.truncation && truncationToJson(tokenizer.truncation),
    padding: tokenizer.padding && paddingToJson(tokenizer.padding),
    added_tokens: tokenizer.addedTokens.map(token => ({
      id: token.id,
      content: token.content,
      single_word: token.singleWord,
      lstrip: token.lstrip,
      rstrip: token.rstrip,
      normalized: token.normalized,
      special: token.special,
    })),
    normalizer: tokenizer.normalizer?.toJSON() ?? null,
    pre_tokenizer: tokenizer.preTokenizer?.toJSON() ?? null,
    post_processor: tokenizer.postProcessor?.toJSON() ?? null,
    decoder: tokenizer.decoder?.toJSON() ?? null,
    model: tokenizer.model.toJSON(),
  }
}
