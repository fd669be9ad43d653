import type { GenerationSettings } from './config.ts'
import {
  encoderNoRepeatNgramProcessor,
  encoderRepetitionPenaltyProcessor,
  exponentialDecayLengthPenalty,
  forcedTokenProcessor,
  frequencyPenaltyProcessor,
  type LogitsProcessor,
  logitNormalization,
  minLengthProcessor,
  noBadWordsProcessor,
  noRepeatNgramProcessor,
  removeInvalidValuesProcessor,
  repetitionPenaltyProcessor,
  sequenceBiasProcessor,
  someTokenCheck,
  suppressTokensProcessor,
} from './logits-processors.ts'
import {
  epsilonWarper,
  etaWarper,
  minPWarper,
  temperatureWarper,
  topKWarper,
  topPWarper,
  typicalWarper,
} from './sampling.ts'

/** What processors need to know beside the settings. */
export interface ProcessorContext {
  promptLength: number
  /** Tokens of a finished sequence, prompt included. */
  maxLength: number
  eosTokenIds: readonly number[]
  /** What an encoder reads, or the prompts of a decoder-only model. */
  sources: readonly (readonly number[])[]
  /** Decides which tokens may come at all. */
  constraints: readonly LogitsProcessor[]
  /** Names of the options that forbid tokens. */
  forbidding: readonly string[]
  /** The caller's. */
  custom: readonly LogitsProcessor[]
}

/** HF's default of `top_k` when sampling. */
const DEFAULT_TOP_K = 50

export const asList = (ids: number | readonly number[] | undefined): readonly number[] =>
  ids === undefined ? [] : typeof ids === 'number' ? [ids] : ids

/** Every processor that the settings ask for, in the order of HF's `_get_logits_processor`. */
export function logitsProcessors(settings: GenerationSettings, context: ProcessorContext): LogitsProcessor[] {
  const { numBeams = 1, doSample = false, renormalizeLogits = false } = settings
  return [
    ...penalties(settings, context),
    ...bounds(settings, context),
    ...context.custom,
    // A beam with no token left gives way to others: beam search checks for itself.
    ...(context.forbidding.length > 0 && numBeams === 1 ? [someTokenCheck(context.forbidding)] : []),
    // Beams that draw keep enough tokens for one to go on when every end of text is drawn, as in HF.
    ...(doSample ? warpers(settings, numBeams > 1 ? context.eosTokenIds.length + 1 : 1) : []),
    ...(renormalizeLogits ? [logitNormalization] : []),
  ]
}

/** What makes tokens likelier or less likely by what has come. */
function penalties(settings: GenerationSettings, { promptLength, sources }: ProcessorContext): LogitsProcessor[] {
  const { sequenceBias, encoderRepetitionPenalty = 1, repetitionPenalty = 1 } = settings
  const { presencePenalty = 0, frequencyPenalty = 0, noRepeatNgramSize = 0, encoderNoRepeatNgramSize = 0 } = settings
  const list: LogitsProcessor[] = []
  if (sequenceBias) list.push(sequenceBiasProcessor(sequenceBias))
  if (encoderRepetitionPenalty !== 1) list.push(encoderRepetitionPenaltyProcessor(encoderRepetitionPenalty, sources))
  if (repetitionPenalty !== 1) list.push(repetitionPenaltyProcessor(repetitionPenalty))
  if (presencePenalty !== 0 || frequencyPenalty !== 0) {
    list.push(frequencyPenaltyProcessor(presencePenalty, frequencyPenalty, promptLength))
  }
  if (noRepeatNgramSize > 0) list.push(noRepeatNgramProcessor(noRepeatNgramSize))
  if (encoderNoRepeatNgramSize > 0) list.push(encoderNoRepeatNgramProcessor(encoderNoRepeatNgramSize, sources))
  return list
}

/** What forbids and forces tokens. */
function bounds(
  settings: GenerationSettings,
  { promptLength, maxLength, eosTokenIds, constraints }: ProcessorContext,
): LogitsProcessor[] {
  const { minNewTokens, badWordsIds, suppressTokens, beginSuppressTokens } = settings
  const { forcedBosTokenId, forcedEosTokenId, removeInvalidValues, exponentialDecayLengthPenalty: decay } = settings
  const list: LogitsProcessor[] = []
  if (badWordsIds) list.push(noBadWordsProcessor(badWordsIds, eosTokenIds))
  const minLength = minNewTokens === undefined ? (settings.minLength ?? 0) : promptLength + minNewTokens
  if (minLength > 0) list.push(minLengthProcessor(minLength, eosTokenIds))
  list.push(...constraints)
  if (forcedBosTokenId !== undefined) list.push(forcedTokenProcessor([forcedBosTokenId], 1))
  if (forcedEosTokenId !== undefined) list.push(forcedTokenProcessor(asList(forcedEosTokenId), maxLength - 1))
  if (removeInvalidValues) list.push(removeInvalidValuesProcessor)
  if (decay) list.push(exponentialDecayLengthPenalty(promptLength + decay[0], decay[1], eosTokenIds))
  if (suppressTokens) list.push(suppressTokensProcessor(suppressTokens))
  if (beginSuppressTokens) list.push(suppressTokensProcessor(beginSuppressTokens, textStart(settings, promptLength)))
  return list
}

/** Where the text begins: after the prompt, and the token forced after a prompt of one. */
export function textStart({ forcedBosTokenId }: GenerationSettings, promptLength: number): number {
  return promptLength > 1 || forcedBosTokenId === undefined ? promptLength : promptLength + 1
}

/** What cuts the distribution that tokens are drawn from. */
function warpers(settings: GenerationSettings, minToKeep: number): LogitsProcessor[] {
  const { temperature = 1, topK = DEFAULT_TOP_K, topP = 1, minP = 0, typicalP = 1 } = settings
  const { epsilonCutoff = 0, etaCutoff = 0 } = settings
  const list: LogitsProcessor[] = []
  if (temperature !== 1) list.push(temperatureWarper(temperature))
  if (topK > 0) list.push(topKWarper(Math.max(topK, minToKeep)))
  if (topP < 1) list.push(topPWarper(topP, minToKeep))
  if (minP > 0) list.push(minPWarper(minP, minToKeep))
  if (typicalP < 1) list.push(typicalWarper(typicalP, minToKeep))
  if (epsilonCutoff > 0 && epsilonCutoff < 1) list.push(epsilonWarper(epsilonCutoff, minToKeep))
  if (etaCutoff > 0 && etaCutoff < 1) list.push(etaWarper(etaCutoff, minToKeep))
  return list
}
