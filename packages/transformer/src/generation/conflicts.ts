import { HeedError } from '@heed/tensor-backend'
import { invalidArgument } from '../invalid-argument.ts'
import { type GenerationSettings, samplingSettings, settingNames, toSnakeCase } from './config.ts'
import type { GenerateOptions } from './plan.ts'
import { asList } from './processor-list.ts'

/** Names of the options of `generate` that are no settings. */
const optionNames: { readonly [K in Exclude<keyof GenerateOptions, keyof GenerationSettings>]-?: true } = {
  attentionMask: true,
  seed: true,
  streamer: true,
  logitsProcessors: true,
  prefixAllowedTokensFn: true,
  constraint: true,
  stoppingCriteria: true,
  tokenizer: true,
  assistantModel: true,
  promptCache: true,
  onWarning: true,
  signal: true,
  returnDictInGenerate: true,
  outputScores: true,
  outputLogits: true,
  cacheImplementation: true,
  cacheDtype: true,
}

/** All that `generate` takes, and what a whole `GenerationConfig` has besides. */
export const generateOptionNames: readonly string[] = [...settingNames, ...Object.keys(optionNames), 'otherKeys']

/** Options of `generate` that only beams take note of. */
const beamOptions = ['lengthPenalty', 'earlyStopping'] as const

export function invalid(name: string, value: unknown, rule: string, mend: string): HeedError {
  return invalidArgument('generate', name, value, rule, mend)
}

/** Settings that hold ids of tokens. */
const idSettings = [
  'eosTokenId',
  'padTokenId',
  'bosTokenId',
  'decoderStartTokenId',
  'forcedBosTokenId',
  'forcedEosTokenId',
  'suppressTokens',
  'beginSuppressTokens',
  'badWordsIds',
  'sequenceBias',
] as const
type IdSetting = (typeof idSettings)[number]

function idsOf(settings: GenerationSettings, name: IdSetting): readonly number[] {
  if (name === 'sequenceBias') return (settings.sequenceBias ?? []).flatMap(([ids]) => ids)
  return [settings[name] ?? []].flat(2) as number[]
}

/** The first of these settings with an id that the model has no score for. */
function idBeyond(
  settings: GenerationSettings,
  names: readonly IdSetting[],
  vocabSize: number,
): { name: IdSetting; id: number } | undefined {
  for (const name of names) {
    const id = idsOf(settings, name).find(id => id >= vocabSize)
    if (id !== undefined) return { name, id }
  }
  return undefined
}

/** Throws HEED_ID_OUT_OF_RANGE at an option with an id that the model has no score for. */
export function checkOptionIds(options: GenerateOptions, vocabSize: number): void {
  const wrong = idBeyond(options, idSettings, vocabSize)
  if (!wrong) return
  throw new HeedError(
    'HEED_ID_OUT_OF_RANGE',
    `generate: ${wrong.name} has the id ${wrong.id}, expected 0 to ${vocabSize - 1} (vocabSize is ${vocabSize}). ` +
      'Check that the tokenizer and the model belong together.',
  )
}

/**
 * The same of a model's generation_config.json, for settings that the generation uses and the caller did not give. Ends and
 * suppressed tokens that no text can hold do no harm there, and HF takes them too. Throws HEED_ID_OUT_OF_RANGE.
 */
export function checkOwnIds(
  own: GenerationSettings,
  options: GenerateOptions,
  used: readonly IdSetting[],
  vocabSize: number,
): void {
  const names = used.filter(name => options[name] === undefined)
  const wrong = idBeyond(own, names, vocabSize)
  if (!wrong) return
  throw new HeedError(
    'HEED_ID_OUT_OF_RANGE',
    `generation_config.json: ${toSnakeCase(wrong.name)} has the id ${wrong.id}, expected 0 to ${vocabSize - 1} ` +
      `(the model's vocab_size is ${vocabSize}). Correct the file, or give generate another ${wrong.name}.`,
  )
}

/**
 * Options that contradict each other, or would be passed over, are a mistake of the caller: `options` are what the caller gave,
 * `settings` are these over the model's own. Throws HEED_ARGUMENT_INVALID where HF raises or warns.
 */
export function checkConflicts(options: GenerateOptions, settings: GenerationSettings, batch: number): void {
  const { doSample = false, numBeams = 1, numReturnSequences = 1 } = settings
  if (numBeams > 1 && options.streamer) {
    throw invalid('numBeams', numBeams, '1 with a streamer', 'Leave the streamer out: beams change until the end.')
  }
  if (numReturnSequences > numBeams && !(doSample && numBeams === 1)) {
    const rule = `at most numBeams (${numBeams}) without sampling`
    throw invalid('numReturnSequences', numReturnSequences, rule, 'Set doSample: true, or more beams.')
  }
  for (const name of doSample ? [] : samplingSettings) {
    if (options[name] === undefined) continue
    throw invalid(name, options[name], 'doSample: true with it', `Set doSample: true to sample, or leave ${name} out.`)
  }
  for (const name of numBeams > 1 ? [] : beamOptions) {
    if (options[name] === undefined || options[name] === false) continue
    throw invalid(name, options[name], 'numBeams above 1 with it', `Set numBeams to search, or leave ${name} out.`)
  }
  for (const name of options.returnDictInGenerate ? [] : (['outputScores', 'outputLogits'] as const)) {
    if (!options[name]) continue
    throw invalid(name, true, 'returnDictInGenerate: true with it', `Set it, or leave ${name} out.`)
  }
  if (settings.stopStrings !== undefined && !options.tokenizer) {
    throw invalid('tokenizer', undefined, 'a Tokenizer with stopStrings', 'Give the tokenizer of the model.')
  }
  for (const name of options.promptCache ? (['cacheImplementation', 'cacheDtype'] as const) : []) {
    if (options[name] === undefined) continue
    throw invalid(name, options[name], 'none with promptCache', 'Give it to the PromptCache.')
  }
  checkForcedAndSuppressed(settings)
  checkSingleSequence(options, settings, batch)
}

/** No token could come where every forced one is suppressed. */
function checkForcedAndSuppressed(settings: GenerationSettings): void {
  const suppressed = new Set(settings.suppressTokens)
  for (const name of ['forcedBosTokenId', 'forcedEosTokenId'] as const) {
    const forced = asList(settings[name])
    if (forced.length === 0 || !forced.every(id => suppressed.has(id))) continue
    throw invalid(name, settings[name], 'a token that suppressTokens does not hold', 'Leave it out of one of the two.')
  }
}

/** What goes on with one sequence only. */
function checkSingleSequence(options: GenerateOptions, settings: GenerationSettings, batch: number): void {
  const names = ['assistantModel', 'promptCache'] as const
  const given =
    names.find(name => options[name]) ?? (settings.promptLookupNumTokens ? 'promptLookupNumTokens' : undefined)
  if (!given) return
  const { numBeams = 1, numReturnSequences = 1 } = settings
  for (const [name, value] of Object.entries({ 'the number of prompts': batch, numBeams, numReturnSequences })) {
    if (value > 1) throw invalid(name, value, `1 with ${given}`, `Generate one at a time, or leave ${given} out.`)
  }
  if (options.assistantModel && settings.promptLookupNumTokens) {
    throw invalid(
      'promptLookupNumTokens',
      settings.promptLookupNumTokens,
      'no assistantModel with it',
      'Choose one of the two.',
    )
  }
}
