import { hidesKeys, Random } from '@heed/layers'
import { checkOptionNames, HeedError, Turns } from '@heed/tensor-backend'
import { checkIdShape, checkIds, type FlatIds, flattenIds, idRows, type TokenIds } from '../inputs.ts'
import type { CausalLm } from '../model.ts'
import type { Seq2SeqLm } from '../seq2seq.ts'
import { checkAborted } from './aborted.ts'
import { type Drafter, DraftModel, PromptLookup, writeAssisted } from './assisted.ts'
import { beamSearch } from './beam-search.ts'
import { generateOptionNames, invalid } from './conflicts.ts'
import { CausalDecoding, type Decoding, Seq2SeqDecoding } from './decoding.ts'
import { type GenerateOutput, StepRecord } from './output.ts'
import { endTokens, type GenerateOptions, type GenerationPlan, mergeSettings, planGeneration } from './plan.ts'
import { argmax, sample } from './sampling.ts'

/**
 * Writes on from prompts with a decoder-only model: by greedy choice, by sampling, or with beams. Gives prompt and
 * continuation of each sequence; those that end early are filled up with the padding token, as in HF.
 * Throws HEED_ARGUMENT_INVALID, HEED_ID_OUT_OF_RANGE, HEED_DISPOSED, HEED_ABORTED.
 */
export async function generate(
  model: CausalLm,
  inputIds: TokenIds,
  options: GenerateOptions = {},
): Promise<GenerateOutput> {
  const { ids, mask } = readInputs(model, inputIds, options)
  const prompts = idRows(ids)
  const plan = planGeneration(model, prompts, options)
  const promptMask = checkPromptMask(mask ?? inferredMask(model, prompts, options))
  const { promptCache, assistantModel } = options
  if (promptCache && promptMask && hidesKeys(promptMask)) {
    throw invalid('attentionMask', promptMask, 'only 1 with promptCache', 'Leave the padding of a single prompt out.')
  }
  if (promptCache?.isInUse) {
    throw invalid(
      'promptCache',
      'in use by another call',
      'one that is free',
      'Wait for that call, or make another cache.',
    )
  }
  const begin = (of: CausalLm, cache = promptCache): Decoding =>
    new CausalDecoding(of, promptMask, firstRoom(plan), cache, options)
  const draft = assistantModel && (() => begin(checkAssistant(model, assistantModel), undefined))
  if (!promptCache) return decode(begin(model), plan, options, draft)
  promptCache.isInUse = true
  try {
    promptCache.keepBeginningOf(prompts[0]!)
    return await decode(begin(model), plan, options, draft)
  } finally {
    promptCache.isInUse = false
  }
}

/**
 * Writes a target for each source with an encoder-decoder model, as `generate`. Each begins with the start token.
 * Throws HEED_ARGUMENT_INVALID, HEED_ID_OUT_OF_RANGE, HEED_DISPOSED, HEED_ABORTED.
 */
export async function generateFromSource(
  model: Seq2SeqLm,
  inputIds: TokenIds,
  options: GenerateOptions = {},
): Promise<GenerateOutput> {
  const { ids, mask } = readInputs(model, inputIds, options)
  const { decoderStartTokenId, bosTokenId } = mergeSettings(model, options)
  const start = decoderStartTokenId ?? model.config.decoderStartTokenId ?? bosTokenId
  if (start === undefined) {
    throw invalid('decoderStartTokenId', start, 'a token id', 'Give the token that targets begin with.')
  }
  const sources = idRows(ids)
  const prompts = sources.map(() => [start])
  const plan = planGeneration(model, prompts, options, sources)
  const { assistantModel } = options
  const begin = (of: Seq2SeqLm): Decoding => new Seq2SeqDecoding(of, sources, mask, firstRoom(plan), options)
  const draft = assistantModel && (() => begin(checkAssistant(model, assistantModel)))
  return decode(begin(model), plan, options, draft)
}

/** New tokens that a cache has room for at first: whoever allows more seldom gets as many, and buffers double when they are full. */
const FIRST_NEW_TOKENS = 4096

/** Tokens that a cache is to have room for at first; the last one of a text is not taken in. */
function firstRoom({ prompts, maxLength }: GenerationPlan): number {
  return Math.min(maxLength - 1, prompts[0]!.length + FIRST_NEW_TOKENS)
}

/** Runs a generation to its end and frees what it held. */
async function decode(
  decoding: Decoding,
  plan: GenerationPlan,
  options: GenerateOptions,
  draft: (() => Decoding) | undefined,
): Promise<GenerateOutput> {
  let drafter: Drafter | undefined
  try {
    drafter = drafterOf(plan, draft)
    if (drafter) return await writeAssisted(decoding, drafter, plan, options)
    return await (plan.numBeams > 1 ? beamSearch(decoding, plan, options) : writeOn(decoding, plan, options))
  } finally {
    drafter?.dispose()
    decoding.dispose()
  }
}

function drafterOf(plan: GenerationPlan, draft: (() => Decoding) | undefined): Drafter | undefined {
  const { promptLookupNumTokens, maxMatchingNgramSize = 2 } = plan.settings
  if (draft) return new DraftModel(draft(), plan)
  return promptLookupNumTokens === undefined ? undefined : new PromptLookup(promptLookupNumTokens, maxMatchingNgramSize)
}

/** The loop over tokens, greedy or sampling. */
async function writeOn(
  decoding: Decoding,
  { prompts, maxLength, padTokenId, doSample, numReturnSequences, processors, isComplete }: GenerationPlan,
  { seed = 0, streamer, signal, ...outputs }: GenerateOptions,
): Promise<GenerateOutput> {
  const random = new Random(seed)
  const record = new StepRecord(outputs)
  const sequences = prompts.flatMap(prompt => Array.from({ length: numReturnSequences }, () => [...prompt]))
  const isDone = sequences.map(() => false)
  const turns = new Turns()
  let tokens: number[][] = prompts
  while (sequences[0]!.length < maxLength && isDone.includes(false)) {
    checkAborted(signal)
    const logits = await decoding.step(tokens)
    const rows = logits.length === sequences.length ? logits : repeated(decoding, logits, numReturnSequences)
    record.addLogits(rows)
    tokens = rows.map((scores, i) => {
      if (isDone[i] && !record.keepsScores) return [padTokenId]
      for (const process of processors) process(scores, sequences[i]!, Math.floor(i / numReturnSequences))
      if (isDone[i]) return [padTokenId]
      return [doSample ? sample(scores, random) : argmax(scores)]
    })
    record.addScores(rows)
    for (const [i, [id]] of tokens.entries()) {
      sequences[i]!.push(id!)
      isDone[i] ||= isComplete(sequences[i]!)
    }
    await streamer?.put(tokens.map(([id]) => id!))
    await turns.next()
  }
  await streamer?.end?.()
  return { sequences, ...record.outputs }
}

/** After the prompts: each row goes on as `count` rows. */
function repeated(decoding: Decoding, rows: Float32Array[], count: number): Float32Array[] {
  const order = rows.flatMap((_, i) => Array.from({ length: count }, () => i))
  decoding.reorder(order)
  return order.map(i => rows[i]!.slice())
}

function readInputs(
  model: CausalLm | Seq2SeqLm,
  inputIds: TokenIds,
  options: GenerateOptions,
): { ids: FlatIds; mask: number[][] | undefined } {
  checkOptionNames('generate', options, generateOptionNames)
  checkIsAlive(model)
  const { attentionMask } = options
  const ids = flattenIds('generate', 'inputIds', inputIds)
  checkIds('generate', 'inputIds', ids, { below: model.config.vocabSize, boundName: 'vocabSize' })
  if (!attentionMask) return { ids, mask: undefined }
  const mask = flattenIds('generate', 'attentionMask', attentionMask)
  checkIdShape('generate', 'attentionMask', mask, [ids.batch, ids.seqLen])
  checkIds('generate', 'attentionMask', mask, { below: 2, boundName: 'the number of mask values' })
  return { ids, mask: idRows(mask) }
}

function checkIsAlive(model: CausalLm | Seq2SeqLm): void {
  const [first] = model.namedParameters()
  if (!first?.[1].isDisposed) return
  throw new HeedError('HEED_DISPOSED', 'generate: the model was disposed of. Load it again to generate with it.')
}

/** 0 where a prompt holds the padding token, which is hidden unless it ends texts too, as HF infers it. */
function inferredMask(model: CausalLm, prompts: number[][], options: GenerateOptions): number[][] | undefined {
  if (options.promptCache) return undefined
  const { padTokenId, eosTokenIds } = endTokens(model, mergeSettings(model, options))
  if (padTokenId === undefined || eosTokenIds.includes(padTokenId)) return undefined
  const isToken = (id: number): number => (id === padTokenId ? 0 : 1)
  return prompts.some(row => row.includes(padTokenId)) ? prompts.map(row => row.map(isToken)) : undefined
}

/** The mask of prompts, which new tokens follow: padding must be on the left. */
function checkPromptMask(rows: number[][] | undefined): number[][] | undefined {
  const empty = rows?.findIndex(row => !row.includes(1)) ?? -1
  if (empty >= 0) {
    const mend = 'Leave the prompt out, or begin it with a token.'
    throw invalid(`attentionMask[${empty}]`, rows![empty], 'a token: the prompt holds padding only', mend)
  }
  const wrong = rows?.findIndex(row => row.at(-1) !== 1) ?? -1
  if (wrong < 0) return rows
  throw new HeedError(
    'HEED_ARGUMENT_INVALID',
    `generate: attentionMask[${wrong}] ends in 0, expected a token there: padding belongs on the left. ` +
      "Tokenize with padding: { direction: 'left' }.",
  )
}

/** A drafter must be of the model's kind, and its ids must mean the same. */
function checkAssistant<M extends CausalLm | Seq2SeqLm>(model: M, assistant: CausalLm | Seq2SeqLm): M {
  if ('encode' in model !== 'encode' in assistant) {
    const kind = 'encode' in model ? 'an encoder-decoder' : 'a decoder-only'
    throw invalid('assistantModel', assistant.architecture, `${kind} model`, 'Give a smaller model of the same kind.')
  }
  const { vocabSize } = assistant.config
  if (vocabSize !== model.config.vocabSize) {
    const rule = `the model's ${model.config.vocabSize}`
    throw invalid('assistantModel.config.vocabSize', vocabSize, rule, 'Both must share one tokenizer.')
  }
  return assistant as M
}
