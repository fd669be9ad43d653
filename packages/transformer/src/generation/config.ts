import { HeedError } from '@heed/tensor-backend'
import type { HfConfig } from '../hf-json.ts'
import type { PretrainedModel } from '../model.ts'

/** What shapes a generation, by HF's names in camelCase; all that is in generation_config.json too. */
export interface GenerationSettings {
  /** Most tokens to write after the prompt. */
  maxNewTokens?: number | undefined
  /** Most tokens with the prompt; `maxNewTokens` goes before it. When neither is given, 20 new ones, or as many as the model has positions for. */
  maxLength?: number | undefined
  /** Fewest tokens to write after the prompt. */
  minNewTokens?: number | undefined
  /** Fewest tokens with the prompt; `minNewTokens` goes before it. */
  minLength?: number | undefined
  /** Draw from the distribution instead of taking the likeliest token. */
  doSample?: boolean | undefined
  temperature?: number | undefined
  topK?: number | undefined
  topP?: number | undefined
  minP?: number | undefined
  typicalP?: number | undefined
  epsilonCutoff?: number | undefined
  etaCutoff?: number | undefined
  /** What is added to the score of each sequence's last token when its others have just come. */
  sequenceBias?: readonly (readonly [ids: readonly number[], bias: number])[] | undefined
  /** Makes tokens of the source, or of a decoder-only model's prompt, likelier (above 1). */
  encoderRepetitionPenalty?: number | undefined
  repetitionPenalty?: number | undefined
  /** Subtracted from the scores of tokens that were generated, once, as in OpenAI's interface. */
  presencePenalty?: number | undefined
  /** Subtracted once for each time a token was generated. */
  frequencyPenalty?: number | undefined
  noRepeatNgramSize?: number | undefined
  /** Size of the n-grams of the source, or of a decoder-only model's prompt, that may not be written. */
  encoderNoRepeatNgramSize?: number | undefined
  badWordsIds?: readonly (readonly number[])[] | undefined
  suppressTokens?: readonly number[] | undefined
  beginSuppressTokens?: readonly number[] | undefined
  forcedBosTokenId?: number | undefined
  forcedEosTokenId?: number | readonly number[] | undefined
  /** Makes the end likelier from so many new tokens on, by a factor that grows with each one. */
  exponentialDecayLengthPenalty?: readonly [start: number, factor: number] | undefined
  /** Replaces NaN and infinities among the scores by finite numbers. */
  removeInvalidValues?: boolean | undefined
  /** Gives log probabilities as the last step, so that scores are comparable. */
  renormalizeLogits?: boolean | undefined
  numBeams?: number | undefined
  lengthPenalty?: number | undefined
  earlyStopping?: boolean | 'never' | undefined
  numReturnSequences?: number | undefined
  eosTokenId?: number | readonly number[] | undefined
  bosTokenId?: number | undefined
  padTokenId?: number | undefined
  decoderStartTokenId?: number | undefined
  /** Ends a sequence when it holds one of these texts; needs `tokenizer`. */
  stopStrings?: string | readonly string[] | undefined
  /** Seconds after which no further token is begun. */
  maxTime?: number | undefined
  /** Drafts so many tokens at a time by copying what followed the same words earlier; the text stays the same. */
  promptLookupNumTokens?: number | undefined
  /** The longest run of last tokens that is looked up; 2 by default. */
  maxMatchingNgramSize?: number | undefined
  /** How many tokens `assistantModel` drafts at a time; 20 by default. */
  numAssistantTokens?: number | undefined
  /** 'constant', or 'heuristic': 2 more after a draft that held, 1 less after one that did not. */
  numAssistantTokensSchedule?: 'constant' | 'heuristic' | undefined
  /** A draft ends with a token that `assistantModel` gives less probability than this; 0.4 by default. */
  assistantConfidenceThreshold?: number | undefined
}

/** The settings of a generation_config.json, and its keys that Heed does not use. */
export interface GenerationConfig extends GenerationSettings {
  readonly otherKeys: Readonly<Record<string, unknown>>
}

export const noGenerationConfig: GenerationConfig = Object.freeze({ otherKeys: Object.freeze({}) })

interface Rule {
  text: string
  holds(value: unknown): boolean
}

const isInteger = (value: unknown, min: number): boolean => Number.isSafeInteger(value) && (value as number) >= min
const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value)

const count: Rule = { text: 'a positive integer', holds: value => isInteger(value, 1) }
const countOrNone: Rule = { text: 'an integer of at least 0', holds: value => isInteger(value, 0) }
const id: Rule = { text: 'a token id', holds: value => isInteger(value, 0) }
const idOrNone: Rule = { text: 'a token id, or -1 for none', holds: value => isInteger(value, -1) }
const positive: Rule = { text: 'a number above 0', holds: value => isNumber(value) && value > 0 }
const share: Rule = {
  text: 'a number above 0 and at most 1',
  holds: value => isNumber(value) && value > 0 && value <= 1,
}
const shareOrNone: Rule = { text: 'a number from 0 to 1', holds: value => isNumber(value) && value >= 0 && value <= 1 }
const finite: Rule = { text: 'a finite number', holds: isNumber }
const flag: Rule = { text: 'true or false', holds: value => typeof value === 'boolean' }
const idList: Rule = {
  text: 'a list of token ids',
  holds: value => Array.isArray(value) && value.every(item => isInteger(item, 0)),
}
const idOrIds: Rule = {
  text: 'a token id or a list of them, -1 for none',
  holds: value => idOrNone.holds(value) || (Array.isArray(value) && value.every(idOrNone.holds)),
}
const idLists: Rule = {
  text: 'a list of non-empty lists of token ids',
  holds: value => Array.isArray(value) && value.every(item => idList.holds(item) && item.length > 0),
}
const isNonEmptyText = (value: unknown): boolean => typeof value === 'string' && value !== ''
const texts: Rule = {
  text: 'a text or a list of texts, none of them empty',
  holds: value => isNonEmptyText(value) || (Array.isArray(value) && value.every(isNonEmptyText)),
}
const biases: Rule = {
  text: 'a list of [token ids, bias]',
  holds: value =>
    Array.isArray(value) &&
    value.every(item => Array.isArray(item) && idLists.holds([item[0]]) && isNumber(item[1]) && item.length === 2),
}
const decay: Rule = {
  text: '[number of tokens, factor above 0]',
  holds: value => Array.isArray(value) && value.length === 2 && isInteger(value[0], 0) && positive.holds(value[1]),
}
const schedule: Rule = {
  text: '"constant" or "heuristic"',
  holds: value => value === 'constant' || value === 'heuristic',
}
const stopping: Rule = {
  text: 'true, false or "never"',
  holds: value => typeof value === 'boolean' || value === 'never',
}

const rules: { readonly [K in keyof GenerationSettings]-?: Rule } = {
  maxNewTokens: count,
  maxLength: count,
  minNewTokens: countOrNone,
  minLength: countOrNone,
  doSample: flag,
  temperature: positive,
  topK: countOrNone,
  topP: share,
  minP: shareOrNone,
  typicalP: share,
  epsilonCutoff: shareOrNone,
  etaCutoff: shareOrNone,
  sequenceBias: biases,
  encoderRepetitionPenalty: positive,
  repetitionPenalty: positive,
  presencePenalty: finite,
  frequencyPenalty: finite,
  noRepeatNgramSize: countOrNone,
  encoderNoRepeatNgramSize: countOrNone,
  badWordsIds: idLists,
  suppressTokens: idList,
  beginSuppressTokens: idList,
  forcedBosTokenId: id,
  forcedEosTokenId: idOrIds,
  exponentialDecayLengthPenalty: decay,
  removeInvalidValues: flag,
  renormalizeLogits: flag,
  numBeams: count,
  lengthPenalty: finite,
  earlyStopping: stopping,
  numReturnSequences: count,
  eosTokenId: idOrIds,
  bosTokenId: id,
  padTokenId: idOrNone,
  decoderStartTokenId: id,
  stopStrings: texts,
  maxTime: positive,
  promptLookupNumTokens: count,
  maxMatchingNgramSize: count,
  numAssistantTokens: count,
  numAssistantTokensSchedule: schedule,
  assistantConfidenceThreshold: shareOrNone,
}

export const settingNames = Object.keys(rules) as readonly (keyof GenerationSettings)[]

/** Settings that only drawing takes note of. */
export const samplingSettings = [
  'temperature',
  'topK',
  'topP',
  'minP',
  'typicalP',
  'epsilonCutoff',
  'etaCutoff',
] as const

/** transformers refuses a whole number for some of these. */
export const generationFloatKeys: readonly string[] = [
  'temperature',
  'top_p',
  'min_p',
  'typical_p',
  'epsilon_cutoff',
  'eta_cutoff',
  'encoder_repetition_penalty',
  'repetition_penalty',
  'length_penalty',
  'max_time',
  'assistant_confidence_threshold',
]

/** The key of a setting in generation_config.json. */
export const toSnakeCase = (name: string): string => name.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)

function checkSetting(where: string, name: keyof GenerationSettings, spelling: string, value: unknown): void {
  const { text, holds } = rules[name]
  if (holds(value)) return
  throw new HeedError(
    where === 'generate' ? 'HEED_ARGUMENT_INVALID' : 'HEED_CONFIG_INVALID',
    `${where}: ${spelling} is ${JSON.stringify(value) ?? value}, expected ${text}. Change it or leave it out.`,
  )
}

/** Throws HEED_ARGUMENT_INVALID at the first setting that breaks its rule. */
export function checkSettings(settings: GenerationSettings): void {
  for (const name of settingNames) {
    const value = settings[name]
    if (value !== undefined) checkSetting('generate', name, name, value)
  }
}

/**
 * Reads a generation_config.json; a null is the same as leaving the key out. Numbers that only sampling uses are checked when it
 * does, as in HF, where a temperature of 0 beside `do_sample: false` is common. Throws HEED_CONFIG_INVALID.
 */
export function generationConfigFromHf(json: HfConfig, source: string): GenerationConfig {
  const otherKeys: Record<string, unknown> = { ...json }
  const settings: Record<string, unknown> = {}
  for (const name of settingNames) {
    const key = toSnakeCase(name)
    const value = json[key]
    if (value === undefined || value === null) continue
    const isLater = typeof value === 'number' && samplingSettings.some(other => other === name)
    if (!isLater) checkSetting(source, name, key, value)
    settings[name] = value
    delete otherKeys[key]
  }
  return { ...settings, otherKeys }
}

/** The generation_config.json of a model: the special tokens of its configuration, and over them its own settings. */
export function generationConfigToHf(model: PretrainedModel): HfConfig {
  const { otherKeys, ...settings } = model.generationConfig
  const config = model.configToHf()
  const json: Record<string, unknown> = {}
  for (const key of ['bos_token_id', 'eos_token_id', 'pad_token_id', 'decoder_start_token_id']) {
    if (config[key] !== undefined && config[key] !== null) json[key] = config[key]
  }
  Object.assign(json, otherKeys)
  for (const name of settingNames) if (settings[name] !== undefined) json[toSnakeCase(name)] = settings[name]
  return json
}
