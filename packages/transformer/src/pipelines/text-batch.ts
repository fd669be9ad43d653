import type { Encoding, Tokenizer } from '@heed/tokenizer'
import { bertLayouts } from '../bert-config.ts'
import type { EncoderInputs } from '../encoder-inputs.ts'
import type { PretrainedModel } from '../model.ts'

/** A model with the tokenizer it was trained with. */
export interface TextModel<M extends PretrainedModel = PretrainedModel> {
  model: M
  tokenizer: Tokenizer
}

/** A text, or a pair of texts. */
export type TextOrPair = string | readonly [text: string, pair: string]

export interface TextBatch {
  encodings: Encoding[]
  inputs: Required<Pick<EncoderInputs, 'inputIds' | 'attentionMask' | 'tokenTypeIds'>>
}

interface ModelLimits {
  maxPositionEmbeddings?: number
  padTokenId?: number | null
  eosTokenId?: readonly number[]
  modelType: string
}

/** The tokens that the model has positions for. */
export function positionsOf({ model }: TextModel): number | undefined {
  const { maxPositionEmbeddings, padTokenId, modelType } = model.config as ModelLimits
  // RoBERTa's positions begin after that of padding
  const unused = bertLayouts[modelType]?.countsTokensOnly ? (padTokenId ?? 0) + 1 : 0
  return maxPositionEmbeddings === undefined ? undefined : maxPositionEmbeddings - unused
}

/** The most tokens that tokenizer and model can take. */
export function longestInput({ model, tokenizer }: TextModel): number | undefined {
  const positions = positionsOf({ model, tokenizer })
  const named = tokenizer.config.model_max_length
  const limits = [positions, typeof named === 'number' ? named : undefined]
  const known = limits.filter(limit => limit !== undefined && limit < Number.MAX_SAFE_INTEGER) as number[]
  return known.length > 0 ? Math.min(...known) : undefined
}

/** Texts as one batch, cut to what the model takes and padded to one length. */
export function encodeTexts({ model, tokenizer }: TextModel, texts: readonly TextOrPair[]): TextBatch {
  const maxLength = longestInput({ model, tokenizer })
  const truncation = maxLength === undefined ? false : { maxLength }
  return batchOf({ model, tokenizer }, tokenizer.encodeBatch(texts, { truncation, padding: false }))
}

/** Encodings as one batch, padded to one length. */
export function batchOf(
  { model, tokenizer }: TextModel,
  given: readonly Encoding[],
  direction: 'left' | 'right' = 'right',
): TextBatch {
  const { padTokenId, eosTokenId } = model.config as ModelLimits
  const pad = {
    padId: tokenizer.specialTokenId('pad_token') ?? padTokenId ?? eosTokenId?.[0] ?? 0,
    padToken: tokenizer.specialToken('pad_token') ?? '[PAD]',
    padTypeId: 0,
  }
  const length = given.reduce((longest, encoding) => Math.max(longest, encoding.length), 0)
  const encodings = given.map(encoding => encoding.pad(length, pad, direction))
  return {
    encodings,
    inputs: {
      inputIds: encodings.map(({ ids }) => ids),
      attentionMask: encodings.map(({ attentionMask }) => attentionMask),
      tokenTypeIds: encodings.map(({ typeIds }) => typeIds),
    },
  }
}

/** What `run` gives for each encoding, `size` of them going through the model together. */
export async function inBatches<Result>(
  parts: TextModel,
  encodings: readonly Encoding[],
  size: number,
  run: (batch: TextBatch) => Promise<Result[]>,
): Promise<Result[]> {
  const results: Result[] = []
  for (let i = 0; i < encodings.length; i += size) {
    results.push(...(await run(batchOf(parts, encodings.slice(i, i + size)))))
  }
  return results
}

/** softmax of numbers, in float64. */
export function probabilities(scores: ArrayLike<number>): number[] {
  const list = Array.from(scores)
  const highest = list.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  const exps = list.map(score => Math.exp(score - highest))
  const sum = exps.reduce((a, b) => a + b, 0)
  return exps.map(exp => exp / sum)
}
