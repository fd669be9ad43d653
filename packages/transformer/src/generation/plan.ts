import { HeedError } from '@heed/tensor-backend'
import type { TokenIds } from '../inputs.ts'
import type { PretrainedModel } from '../model.ts'
import { checkSettings, type GenerationSettings } from './config.ts'
import {
  forcedTokenProcessor,
  frequencyPenaltyProcessor,
  type LogitsProcessor,
  minLengthProcessor,
  noBadWordsProcessor,
  noRepeatNgramProcessor,
  repetitionPenaltyProcessor,
  suppressTokensProcessor,
} from './logits-processors.ts'
import { minPWarper, temperatureWarper, topKWarper, topPWarper, typicalWarper } from './sampling.ts'
import type { Streamer } from './streamer.ts'

export interface GenerateOptions extends GenerationSettings {
  /** 1 for tokens, 0 for padding, which must be on the left. */
  attentionMask?: TokenIds | undefined
  /** Seed of the draws; the same seed gives the same text. */
  seed?: number | undefined
  streamer?: Streamer | undefined
  /** Applied after the built-in processors and before the warpers. */
  logitsProcessors?: readonly LogitsProcessor[] | undefined
  /** Ends a sequence when one of them holds for it, prompt included. */
  stoppingCriteria?: readonly ((ids: readonly number[]) => boolean)[] | undefined
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
}

/** HF's default of `max_length`, prompt included. */
const DEFAULT_MAX_LENGTH = 20
/** HF's default of `top_k` when sampling. */
const DEFAULT_TOP_K = 50
const asList = (ids: number | readonly number[] | undefined): readonly number[] =>
  ids === undefined ? [] : typeof ids === 'number' ? [ids] : ids

function invalid(name: string, value: unknown, rule: string, mend: string): HeedError {
  return new HeedError(
    'HEED_ARGUMENT_INVALID',
    `generate: ${name} is ${JSON.stringify(value) ?? value}, expected ${rule}. ${mend}`,
  )
}

type Strategy = Pick<GenerationPlan, 'doSample' | 'numBeams' | 'numReturnSequences'>

/** Options that would be passed over are a mistake of the caller. */
function checkConflicts(options: GenerateOptions, { doSample, numBeams, numReturnSequences }: Strategy): void {
  if (numBeams > 1 && options.streamer) {
    throw invalid('numBeams', numBeams, '1 with a streamer', 'Leave the streamer out: beams change until the end.')
  }
  const most = numBeams > 1 ? numBeams : 1
  if (numReturnSequences > most && !(doSample && numBeams === 1)) {
    const rule = `at most numBeams (${numBeams}) without sampling`
    throw invalid('numReturnSequences', numReturnSequences, rule, 'Set doSample: true, or more beams.')
  }
  if (doSample) return
  for (const name of ['temperature', 'topK', 'topP', 'minP', 'typicalP'] as const) {
    if (options[name] === undefined) continue
    throw invalid(name, options[name], 'doSample: true with it', `Set doSample: true to sample, or leave ${name} out.`)
  }
}

/** Merges options, the model's generation_config.json and its special tokens. Throws HEED_ARGUMENT_INVALID. */
export function mergeSettings(model: PretrainedModel, options: GenerateOptions): GenerationSettings {
  checkSettings(options)
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  return { ...model.generationConfig, ...given }
}

/** Decides everything that a generation from `prompts` needs. Throws HEED_ARGUMENT_INVALID. */
export function planGeneration(model: PretrainedModel, prompts: number[][], options: GenerateOptions): GenerationPlan {
  const settings = mergeSettings(model, options)
  const tokens = model.config as { eosTokenId?: readonly number[]; padTokenId?: number | null }
  const { doSample = false, numBeams = 1, numReturnSequences = 1, lengthPenalty = 1, earlyStopping = false } = settings
  checkConflicts(options, { doSample, numBeams, numReturnSequences })
  const promptLength = prompts[0]!.length
  const eosTokenIds = asList(settings.eosTokenId ?? tokens.eosTokenId).filter(id => id >= 0)
  const { maxNewTokens, maxLength = DEFAULT_MAX_LENGTH } = settings
  const totalLength = maxNewTokens === undefined ? maxLength : promptLength + maxNewTokens
  if (totalLength <= promptLength) {
    const rule = `more than the ${promptLength} tokens of the prompt`
    throw invalid('maxLength', totalLength, rule, 'Give maxNewTokens instead.')
  }
  return {
    prompts,
    maxLength: totalLength,
    eosTokenIds,
    padTokenId: settings.padTokenId ?? tokens.padTokenId ?? eosTokenIds[0] ?? 0,
    doSample,
    numBeams,
    numReturnSequences,
    lengthPenalty,
    earlyStopping,
    processors: [
      ...scoreProcessors(settings, promptLength, totalLength, eosTokenIds),
      ...(options.logitsProcessors ?? []),
      // Beams that draw keep enough tokens for one to go on when every end of text is drawn, as in HF.
      ...(doSample ? samplingWarpers(settings, numBeams > 1 ? eosTokenIds.length + 1 : 1) : []),
    ],
  }
}

function scoreProcessors(
  settings: GenerationSettings,
  promptLength: number,
  maxLength: number,
  eosTokenIds: readonly number[],
): LogitsProcessor[] {
  const { repetitionPenalty = 1, presencePenalty = 0, frequencyPenalty = 0, noRepeatNgramSize = 0 } = settings
  const { minLength = 0, minNewTokens = 0, badWordsIds, suppressTokens, beginSuppressTokens } = settings
  const { forcedBosTokenId, forcedEosTokenId } = settings
  const list: LogitsProcessor[] = []
  if (repetitionPenalty !== 1) list.push(repetitionPenaltyProcessor(repetitionPenalty))
  if (presencePenalty !== 0 || frequencyPenalty !== 0) {
    list.push(frequencyPenaltyProcessor(presencePenalty, frequencyPenalty, promptLength))
  }
  if (noRepeatNgramSize > 0) list.push(noRepeatNgramProcessor(noRepeatNgramSize))
  if (badWordsIds) list.push(noBadWordsProcessor(badWordsIds, eosTokenIds))
  if (minLength > 0) list.push(minLengthProcessor(minLength, eosTokenIds))
  if (minNewTokens > 0) list.push(minLengthProcessor(promptLength + minNewTokens, eosTokenIds))
  if (forcedBosTokenId !== undefined) list.push(forcedTokenProcessor([forcedBosTokenId], 1))
  if (forcedEosTokenId !== undefined) list.push(forcedTokenProcessor(asList(forcedEosTokenId), maxLength - 1))
  if (suppressTokens) list.push(suppressTokensProcessor(suppressTokens))
  if (beginSuppressTokens) {
    const begin = promptLength > 1 || forcedBosTokenId === undefined ? promptLength : promptLength + 1
    list.push(suppressTokensProcessor(beginSuppressTokens, begin))
  }
  return list
}

function samplingWarpers(settings: GenerationSettings, minToKeep: number): LogitsProcessor[] {
  const { temperature = 1, topK = DEFAULT_TOP_K, topP = 1, minP = 0, typicalP = 1 } = settings
  const list: LogitsProcessor[] = []
  if (temperature !== 1) list.push(temperatureWarper(temperature))
  if (topK > 0) list.push(topKWarper(Math.max(topK, minToKeep)))
  if (topP < 1) list.push(topPWarper(topP, minToKeep))
  if (minP > 0) list.push(minPWarper(minP))
  if (typicalP < 1) list.push(typicalWarper(typicalP, minToKeep))
  return list
}
