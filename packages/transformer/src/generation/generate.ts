import { Random } from '@heed/layers'
import { HeedError } from '@heed/tensor-backend'
import { checkIdShape, checkIds, flattenIds, idRows, type TokenIds } from '../inputs.ts'
import type { CausalLm } from '../model.ts'
import type { Seq2SeqLm } from '../seq2seq.ts'
import { beamSearch } from './beam-search.ts'
import { CausalDecoding, type Decoding, Seq2SeqDecoding } from './decoding.ts'
import { type GenerateOptions, type GenerationPlan, mergeSettings, planGeneration } from './plan.ts'
import { argmax, sample } from './sampling.ts'
import { checkAborted, Turns } from './turns.ts'

/**
 * Writes on from prompts with a decoder-only model: by greedy choice, by sampling, or with beams. Returns prompt and
 * continuation of each sequence; those that end early are filled up with the padding token, as in HF.
 * Throws HEED_ARGUMENT_INVALID, HEED_ID_OUT_OF_RANGE, HEED_ABORTED.
 */
export async function generate(
  model: CausalLm,
  inputIds: TokenIds,
  options: GenerateOptions = {},
): Promise<number[][]> {
  const ids = flattenIds('generate', 'inputIds', inputIds)
  checkIds('generate', 'inputIds', ids, { below: model.config.vocabSize, boundName: 'vocabSize' })
  const attentionMask = options.attentionMask && promptMask(options.attentionMask, [ids.batch, ids.seqLen])
  const plan = planGeneration(model, idRows(ids), options)
  return decode(new CausalDecoding(model, attentionMask, plan.maxLength - 1), plan, options)
}

/**
 * Writes a target for each source with an encoder-decoder model, as `generate`. Each begins with the start token.
 * Throws HEED_ARGUMENT_INVALID, HEED_ID_OUT_OF_RANGE, HEED_ABORTED.
 */
export async function generateFromSource(
  model: Seq2SeqLm,
  inputIds: TokenIds,
  options: GenerateOptions = {},
): Promise<number[][]> {
  const ids = flattenIds('generate', 'inputIds', inputIds)
  checkIds('generate', 'inputIds', ids, { below: model.config.vocabSize, boundName: 'vocabSize' })
  const attentionMask = options.attentionMask && readMask(options.attentionMask, [ids.batch, ids.seqLen])
  const { decoderStartTokenId, bosTokenId } = mergeSettings(model, options)
  const start = decoderStartTokenId ?? model.config.decoderStartTokenId ?? bosTokenId
  if (start === undefined) {
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      'generate: decoderStartTokenId is undefined, expected a token id. Give the token that targets begin with.',
    )
  }
  const sources = idRows(ids)
  const plan = planGeneration(
    model,
    sources.map(() => [start]),
    options,
  )
  return decode(new Seq2SeqDecoding(model, sources, attentionMask, plan.maxLength - 1), plan, options)
}

/** Runs a generation to its end and frees what it held. */
export async function decode(decoding: Decoding, plan: GenerationPlan, options: GenerateOptions): Promise<number[][]> {
  try {
    return await (plan.numBeams > 1 ? beamSearch(decoding, plan, options) : writeOn(decoding, plan, options))
  } finally {
    decoding.dispose()
  }
}

function readMask(mask: TokenIds, shape: [number, number]): number[][] {
  const ids = flattenIds('generate', 'attentionMask', mask)
  checkIdShape('generate', 'attentionMask', ids, shape)
  checkIds('generate', 'attentionMask', ids, { below: 2, boundName: 'the number of mask values' })
  return idRows(ids)
}

/** The mask of prompts, which new tokens follow: padding must be on the left. */
function promptMask(mask: TokenIds, shape: [number, number]): number[][] {
  const rows = readMask(mask, shape)
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
  { prompts, maxLength, eosTokenIds, padTokenId, doSample, numReturnSequences, processors }: GenerationPlan,
  { seed = 0, streamer, stoppingCriteria = [], signal }: GenerateOptions,
): Promise<number[][]> {
  const random = new Random(seed)
  const sequences = prompts.flatMap(prompt => Array.from({ length: numReturnSequences }, () => [...prompt]))
  const isDone = sequences.map(() => false)
  const turns = new Turns()
  let tokens: number[][] = prompts
  while (sequences[0]!.length < maxLength && isDone.includes(false)) {
    checkAborted(signal)
    const logits = await decoding.step(tokens)
    const rows = logits.length === sequences.length ? logits : repeated(decoding, logits, numReturnSequences)
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

/** After the prompts: each row goes on as `count` rows. */
function repeated(decoding: Decoding, rows: Float32Array[], count: number): Float32Array[] {
  const order = rows.flatMap((_, i) => Array.from({ length: count }, () => i))
  decoding.reorder(order)
  return order.map(i => rows[i]!.slice())
}
