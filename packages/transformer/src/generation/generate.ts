import { Random } from '@heed/layers'
import { HeedError } from '@heed/tensor-backend'
import { checkIdShape, checkIds, flattenIds, idRows, type TokenIds } from '../inputs.ts'
import type { CausalLm, PretrainedModel } from '../model.ts'
import { checkSettings, type GenerationSettings } from './config.ts'
import { CausalDecoding, type Decoding } from './decoding.ts'
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
import { argmax, minPWarper, sample, temperatureWarper, topKWarper, topPWarper, typicalWarper } from './sampling.ts'
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
  attentionMask: number[][] | undefined
  /** Tokens of a finished sequence, prompt included. */
  maxLength: number
  eosTokenIds: readonly number[]
  padTokenId: number
  doSample: boolean
  /** In HF's order. */
  processors: LogitsProcessor[]
}

/** HF's default of `max_length`, prompt included. */
const DEFAULT_MAX_LENGTH = 20
/** HF's default of `top_k` when sampling. */
const DEFAULT_TOP_K = 50
/** Time after which generation lets timers, signals and the page have a turn, in milliseconds. */
const TURN_MS = 30

const asList = (ids: number | readonly number[] | undefined): readonly number[] =>
  ids === undefined ? [] : typeof ids === 'number' ? [ids] : ids

function invalid(name: string, value: unknown, rule: string, mend: string): HeedError {
  return new HeedError(
    'HEED_ARGUMENT_INVALID',
    `generate: ${name} is ${JSON.stringify(value) ?? value}, expected ${rule}. ${mend}`,
  )
}

/** Sampling options without sampling would be passed over: that is a mistake of the caller. */
function checkConflicts(options: GenerateOptions, doSample: boolean): void {
  if (doSample) return
  for (const name of ['temperature', 'topK', 'topP', 'minP', 'typicalP'] as const) {
    if (options[name] === undefined) continue
    throw invalid(name, options[name], 'doSample: true with it', `Set doSample: true to sample, or leave ${name} out.`)
  }
}

/** Merges options, the model's generation_config.json and its special tokens. Throws HEED_ARGUMENT_INVALID. */
export function planGeneration(
  model: PretrainedModel,
  where: { prompts: number[][]; attentionMask: number[][] | undefined; vocabSize: number },
  options: GenerateOptions,
): GenerationPlan {
  checkSettings(options)
  const tokens = model.config as { eosTokenId?: readonly number[]; padTokenId?: number | null }
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  const settings: GenerationSettings = { ...model.generationConfig, ...given }
  const { prompts } = where
  const promptLength = prompts[0]!.length
  const doSample = settings.doSample ?? false
  checkConflicts(options, doSample)
  const eosTokenIds = asList(settings.eosTokenId ?? tokens.eosTokenId)
  const maxLength =
    settings.maxNewTokens !== undefined
      ? promptLength + settings.maxNewTokens
      : (settings.maxLength ?? DEFAULT_MAX_LENGTH)
  if (maxLength <= promptLength) {
    throw invalid(
      'maxLength',
      maxLength,
      `more than the ${promptLength} tokens of the prompt`,
      'Give maxNewTokens instead.',
    )
  }
  return {
    ...where,
    maxLength,
    eosTokenIds,
    padTokenId: settings.padTokenId ?? tokens.padTokenId ?? eosTokenIds[0] ?? 0,
    doSample,
    processors: [
      ...scoreProcessors(settings, promptLength, maxLength, eosTokenIds),
      ...(options.logitsProcessors ?? []),
      ...(doSample ? samplingWarpers(settings) : []),
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

function samplingWarpers(settings: GenerationSettings): LogitsProcessor[] {
  const { temperature = 1, topK = DEFAULT_TOP_K, topP = 1, minP = 0, typicalP = 1 } = settings
  const list: LogitsProcessor[] = []
  if (temperature !== 1) list.push(temperatureWarper(temperature))
  if (topK > 0) list.push(topKWarper(topK))
  if (topP < 1) list.push(topPWarper(topP))
  if (minP > 0) list.push(minPWarper(minP))
  if (typicalP < 1) list.push(typicalWarper(typicalP))
  return list
}

/**
 * Writes on from prompts with a decoder-only model, by greedy choice or by sampling. Returns prompt and continuation of each
 * sequence; those that end early are filled up with the padding token, as in HF.
 * Throws HEED_ARGUMENT_INVALID, HEED_ID_OUT_OF_RANGE, HEED_ABORTED.
 */
export async function generate(
  model: CausalLm,
  inputIds: TokenIds,
  options: GenerateOptions = {},
): Promise<number[][]> {
  const { vocabSize } = model.config
  const ids = flattenIds('generate', 'inputIds', inputIds)
  checkIds('generate', 'inputIds', ids, { below: vocabSize, boundName: 'vocabSize' })
  const prompts = idRows(ids)
  const attentionMask = options.attentionMask && promptMask(options.attentionMask, [ids.batch, ids.seqLen])
  const plan = planGeneration(model, { prompts, attentionMask, vocabSize }, options)
  const decoding = new CausalDecoding(model, attentionMask, plan.maxLength - 1)
  try {
    return await writeOn(decoding, plan, options)
  } finally {
    decoding.dispose()
  }
}

function promptMask(mask: TokenIds, shape: [number, number]): number[][] {
  const ids = flattenIds('generate', 'attentionMask', mask)
  checkIdShape('generate', 'attentionMask', ids, shape)
  checkIds('generate', 'attentionMask', ids, { below: 2, boundName: 'the number of mask values' })
  const rows = idRows(ids)
  const wrong = rows.findIndex(row => row.at(-1) !== 1)
  if (wrong < 0) return rows
  throw new HeedError(
    'HEED_ARGUMENT_INVALID',
    `generate: attentionMask[${wrong}] ends in 0, expected a token there: padding belongs on the left. ` +
      "Tokenize with padding: { direction: 'left' }.",
  )
}

/** The loop over tokens, greedy or sampling. */
async function writeOn(
  decoding: Decoding,
  { prompts, maxLength, eosTokenIds, padTokenId, doSample, processors }: GenerationPlan,
  { seed = 0, streamer, stoppingCriteria = [], signal }: GenerateOptions,
): Promise<number[][]> {
  const random = new Random(seed)
  const sequences = prompts.map(prompt => [...prompt])
  const isDone = sequences.map(() => false)
  const turns = new Turns()
  let tokens: number[][] = prompts
  while (sequences[0]!.length < maxLength && isDone.includes(false)) {
    checkAborted(signal)
    const rows = await decoding.step(tokens)
    tokens = rows.map((scores, i) => {
      if (isDone[i]) return [padTokenId]
      for (const process of processors) process(scores, sequences[i]!)
      return [doSample ? sample(scores, random) : argmax(scores)]
    })
    for (const [i, [id]] of tokens.entries()) {
      sequences[i]!.push(id!)
      isDone[i] ||= eosTokenIds.includes(id!) || stoppingCriteria.some(holds => holds(sequences[i]!))
    }
    await streamer?.put(tokens.map(([id]) => id!))
    await turns.next()
  }
  await streamer?.end?.()
  return sequences
}

/** Throws HEED_ABORTED when the caller has cancelled. */
export function checkAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) {
    throw new HeedError('HEED_ABORTED', 'generate: the signal was aborted, expected it to last.', {
      cause: signal.reason,
    })
  }
}

/** Lets timers, signals and the page have a turn now and then during a long computation. */
export class Turns {
  #last: number = performance.now()

  async next(): Promise<void> {
    if (performance.now() - this.#last < TURN_MS) return
    await new Promise(resolve => setTimeout(resolve))
    this.#last = performance.now()
  }
}
