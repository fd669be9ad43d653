import { withoutUndefined } from '@heed/tensor-backend'
import type { Tokenizer } from '@heed/tokenizer'
import type { CacheOptions } from '../cache-options.ts'
import type { TokenIds } from '../inputs.ts'
import type { CausalLm, PretrainedModel } from '../model.ts'
import type { Seq2SeqLm } from '../seq2seq.ts'
import { checkSettings, type GenerationSettings } from './config.ts'
import { checkConflicts, checkOptionIds, checkOwnIds, invalid } from './conflicts.ts'
import type { Constraint } from './constrained/constraint.ts'
import type { LogitsProcessor } from './logits-processors.ts'
import { prefixConstrainedProcessor } from './logits-processors.ts'
import type { OutputOptions } from './output.ts'
import { asList, logitsProcessors, textStart } from './processor-list.ts'
import type { PromptCache } from './prompt-cache.ts'
import { maxTimeCriterion, type StoppingCriterion, stopStringCriterion } from './stopping.ts'
import type { Streamer } from './streamer.ts'

export interface GenerateOptions extends GenerationSettings, OutputOptions, CacheOptions {
  /** 1 for tokens, 0 for padding, which must be on the left. By default padding tokens of a decoder-only model's prompts are hidden, unless they end texts too. */
  attentionMask?: TokenIds | undefined
  /** Seed of the draws; the same seed gives the same text. */
  seed?: number | undefined
  streamer?: Streamer | undefined
  /** Applied after the built-in processors and before the warpers. */
  logitsProcessors?: readonly LogitsProcessor[] | undefined
  /** The tokens that may come next, for a prompt and what has come, prompt included. */
  prefixAllowedTokensFn?: ((prompt: number, ids: readonly number[]) => Iterable<number>) | undefined
  /** Keeps what is written within a JSON schema, grammar or regular expression. */
  constraint?: Constraint | undefined
  /** Ends a sequence when one of them holds for it, prompt included. */
  stoppingCriteria?: readonly StoppingCriterion[] | undefined
  /** Needed for `stopStrings`. */
  tokenizer?: Tokenizer | undefined
  /** A smaller model with the same vocabulary, whose drafts the model checks several tokens at a time; the text stays the same. */
  assistantModel?: CausalLm | Seq2SeqLm | undefined
  /** Keeps what was read and written for the next call. */
  promptCache?: PromptCache | undefined
  /** Told when a text grows longer than what the model was trained on; `console.warn` by default. */
  onWarning?: ((message: string) => void) | undefined
  /** Stops between two tokens with HEED_ABORTED. */
  signal?: AbortSignal | undefined
}

/** Everything decided before the first token. */
export interface GenerationPlan {
  prompts: number[][]
  /** Tokens of a finished sequence, prompt included. */
  maxLength: number
  eosTokenIds: readonly number[]
  padTokenId: number
  doSample: boolean
  numBeams: number
  numReturnSequences: number
  lengthPenalty: number
  earlyStopping: boolean | 'never'
  /** In HF's order. */
  processors: LogitsProcessor[]
  /** Names of the options that forbid tokens. */
  forbidding: readonly string[]
  /** Whether a sequence is complete before it has maxLength tokens. */
  isComplete: StoppingCriterion
  settings: GenerationSettings
}

/** How many tokens HF writes when no length is given. */
const DEFAULT_NEW_TOKENS = 20

/** Options that forbid tokens, several of which may leave none. */
const forbiddingOptions = [
  'constraint',
  'prefixAllowedTokensFn',
  'logitsProcessors',
  'badWordsIds',
  'suppressTokens',
  'beginSuppressTokens',
  'noRepeatNgramSize',
  'encoderNoRepeatNgramSize',
  'minLength',
  'minNewTokens',
  'forcedBosTokenId',
  'forcedEosTokenId',
] as const

/** Merges options and the model's generation_config.json. Throws HEED_ARGUMENT_INVALID. */
export function mergeSettings(model: PretrainedModel, options: GenerateOptions): GenerationSettings {
  checkSettings(options)
  const settings: GenerationSettings = { ...model.generationConfig, ...withoutUndefined(options) }
  if (settings.doSample) checkSettings(settings) // what generation_config.json says of sampling
  return settings
}

/** The tokens that end a text and fill it up: those of the settings, or of the model's configuration. */
export function endTokens(
  model: PretrainedModel,
  settings: GenerationSettings,
): { eosTokenIds: readonly number[]; padTokenId: number | undefined } {
  const config = model.config as { eosTokenId?: readonly number[]; padTokenId?: number | null }
  return {
    eosTokenIds: asList(settings.eosTokenId ?? config.eosTokenId).filter(id => id >= 0),
    padTokenId: [settings.padTokenId, config.padTokenId].find(id => typeof id === 'number' && id >= 0) ?? undefined,
  }
}

/** Decides everything that a generation from `prompts` needs; `sources` are what an encoder reads, if there is one. Throws HEED_ARGUMENT_INVALID, HEED_ID_OUT_OF_RANGE. */
export function planGeneration(
  model: PretrainedModel,
  prompts: number[][],
  options: GenerateOptions,
  sources: readonly (readonly number[])[] = prompts,
): GenerationPlan {
  const settings = mergeSettings(model, options)
  const { vocabSize = Number.POSITIVE_INFINITY } = model.config as { vocabSize?: number }
  checkOptionIds(options, vocabSize)
  checkConflicts(options, settings, prompts.length)
  const { doSample = false, numBeams = 1, numReturnSequences = 1, lengthPenalty = 1, earlyStopping = false } = settings
  const promptLength = prompts[0]!.length
  const used = [
    'badWordsIds',
    'sequenceBias',
    'forcedEosTokenId',
    ...(promptLength === 1 ? (['forcedBosTokenId'] as const) : []),
    ...(prompts.length * numReturnSequences > 1 ? (['padTokenId'] as const) : []),
    ...(sources === prompts ? [] : (['decoderStartTokenId'] as const)),
  ] as const
  checkOwnIds(model.generationConfig, options, used, vocabSize)
  const { eosTokenIds, padTokenId } = endTokens(model, settings)
  const maxLength = lengthOf(model, settings, promptLength)
  const { constraint, prefixAllowedTokensFn, logitsProcessors: custom = [] } = options
  const needsEnd = constraint
    ? 'a constraint'
    : settings.exponentialDecayLengthPenalty && 'exponentialDecayLengthPenalty'
  if (needsEnd && eosTokenIds.length === 0) {
    throw invalid('eosTokenId', undefined, `a token id with ${needsEnd}`, 'Give the token that ends a text.')
  }
  const constraints = [
    ...(prefixAllowedTokensFn ? [prefixConstrainedProcessor(prefixAllowedTokensFn)] : []),
    ...(constraint ? [constraint.processor(textStart(settings, promptLength), eosTokenIds)] : []),
  ]
  const given: GenerateOptions = { ...settings, ...options }
  const forbidding = forbiddingOptions.filter(name => given[name] !== undefined && given[name] !== 0)
  const context = { promptLength, maxLength, eosTokenIds, sources, constraints, forbidding, custom }
  return {
    prompts,
    maxLength,
    eosTokenIds,
    padTokenId: padTokenId ?? eosTokenIds[0] ?? 0,
    doSample,
    numBeams,
    numReturnSequences,
    lengthPenalty,
    earlyStopping,
    processors: logitsProcessors(settings, context),
    forbidding,
    isComplete: completeness(settings, options, eosTokenIds),
    settings,
  }
}

/** Most tokens of a text, prompt included, as HF's `_prepare_generated_length`. */
function lengthOf(model: PretrainedModel, settings: GenerationSettings, promptLength: number): number {
  const { maxNewTokens, maxLength } = settings
  if (maxNewTokens !== undefined) return promptLength + maxNewTokens
  if (maxLength !== undefined) {
    if (maxLength > promptLength) return maxLength
    const rule = `more than the ${promptLength} tokens of the prompt`
    throw invalid('maxLength', maxLength, rule, 'Give maxNewTokens instead.')
  }
  const { maxPositionEmbeddings: positions = Number.POSITIVE_INFINITY } = model.config as {
    maxPositionEmbeddings?: number
  }
  if (promptLength < positions) return Math.min(promptLength + DEFAULT_NEW_TOKENS, positions)
  const rule = `less than the model's maxPositionEmbeddings, ${positions}`
  throw invalid('the length of the prompt', promptLength, rule, 'Shorten it, or give maxNewTokens.')
}

/** Holds when any criterion does, the end of text among them. */
function completeness(
  { stopStrings = [], maxTime }: GenerationSettings,
  { tokenizer, stoppingCriteria = [] }: GenerateOptions,
  eosTokenIds: readonly number[],
): StoppingCriterion {
  const texts = typeof stopStrings === 'string' ? [stopStrings] : stopStrings
  const criteria = [
    ...stoppingCriteria,
    ...(tokenizer && texts.length > 0 ? [stopStringCriterion(texts, tokenizer)] : []),
    ...(maxTime === undefined ? [] : [maxTimeCriterion(maxTime)]),
  ]
  return ids => eosTokenIds.includes(ids.at(-1)!) || criteria.some(holds => holds(ids))
}
