import {
  type AttentionStep,
  BatchCache,
  type Embedding,
  hidesKeys,
  Recorder,
  type RotaryAngles,
  type RotaryEmbedding,
} from '@heed/layers'
import { HeedError, tf } from '@heed/tensor-backend'
import { checkIdShape, checkIds, flattenIds, idRows, idTensor, type TokenIds } from './inputs.ts'
import type { DecoderInputs } from './model.ts'

/** Checked inputs of a decoder, as its layers want them. */
export interface DecoderStep {
  ids: tf.Tensor2D // int32 [batch, seqLen]
  /** Position of the first new token, when they are counted on from the cache. */
  offset: number
  /** Length of the whole text, where the new tokens are a part of what is read. */
  textLength: number | undefined
  /** Positions of the new tokens, when they were given. */
  positionIds: number[][] | undefined
  /** Whether each row is a sequence of its own length, none of which changes another's angles. */
  isApart: boolean
  /** What every layer's attention needs. */
  attention: AttentionStep
}

/** Reads and checks the inputs of a decoder. Throws HEED_ID_OUT_OF_RANGE, HEED_SHAPE_MISMATCH. */
export function decoderStep(
  where: string,
  { inputIds, attentionMask, positionIds, cache, textLength, outputAttentions }: DecoderInputs,
  vocabSize: number,
): DecoderStep {
  const ids = flattenIds(where, 'inputIds', inputIds)
  checkIds(where, 'inputIds', ids, { below: vocabSize, boundName: 'vocabSize' })
  const { batch, seqLen } = ids
  const offset = cache?.length ?? 0
  const keyLen = offset + seqLen
  const keyPaddingMask = attentionMask && paddingMask(where, attentionMask, [batch, keyLen])
  return {
    ids: idTensor(ids),
    offset,
    textLength,
    isApart: cache instanceof BatchCache,
    positionIds: positionIds && readPositions(where, positionIds, [batch, seqLen]),
    attention: {
      isCausal: true,
      keyLen,
      ...(keyPaddingMask && { keyPaddingMask }),
      ...(outputAttentions && { weights: new Recorder() }),
    },
  }
}

function readPositions(where: string, positionIds: TokenIds, shape: [number, number]): number[][] {
  const positions = flattenIds(where, 'positionIds', positionIds)
  checkIdShape(where, 'positionIds', positions, shape)
  checkIds(where, 'positionIds', positions, { below: MAX_POSITION, boundName: 'the number of positions' })
  return idRows(positions)
}

/** Positions beyond are a mistake, and their table of angles would not fit in memory: 16 times the longest context in use. */
const MAX_POSITION = 2 ** 24

/** int32 [batch, keyLen], or nothing when the mask hides nothing. Throws HEED_SHAPE_MISMATCH, HEED_ID_OUT_OF_RANGE. */
export function paddingMask(where: string, attentionMask: TokenIds, shape: [number, number]): tf.Tensor | undefined {
  const mask = flattenIds(where, 'attentionMask', attentionMask)
  checkIdShape(where, 'attentionMask', mask, shape)
  checkIds(where, 'attentionMask', mask, { below: 2, boundName: 'the number of mask values' })
  return hidesKeys([[...mask.values]]) ? idTensor(mask) : undefined
}

/** The rotary angles of a step's positions. */
export function rotaryAngles(
  rotary: RotaryEmbedding,
  { ids, offset, textLength, positionIds, isApart }: Omit<DecoderStep, 'attention'>,
): RotaryAngles {
  if (positionIds && isApart) return rotary.atEach(positionIds)
  return positionIds ? rotary.at(positionIds, textLength) : rotary.range(offset, ids.shape[1], textLength)
}

/**
 * Rows of a table of learned positions, [1 | batch, seqLen, hiddenSize]; `shift` is how many rows lie before position 0.
 * Throws HEED_ID_OUT_OF_RANGE beyond the table.
 */
export function learnedPositions(
  where: string,
  table: Embedding,
  { ids, offset, positionIds }: Pick<DecoderStep, 'ids' | 'offset' | 'positionIds'>,
  shift = 0,
): tf.Tensor {
  const maxPositions = table.numEmbeddings - shift
  const seqLen = ids.shape[1]
  const rows = positionIds ?? [Array.from({ length: seqLen }, (_, i) => offset + i)]
  const highest = rows.flat().reduce((a, b) => Math.max(a, b), 0)
  if (highest >= maxPositions) {
    throw new HeedError(
      'HEED_ID_OUT_OF_RANGE',
      `${where}: the last position is ${highest}, expected 0 to ${maxPositions - 1} (maxPositionEmbeddings is ${maxPositions}). ` +
        'Shorten the text, or train with more positions.',
    )
  }
  const shifted = rows.map(row => row.map(position => position + shift))
  return table.forward(tf.tensor2d(shifted, [rows.length, seqLen], 'int32'))
}

/** Whether a pass is of one token that goes on from a cached text, as decoding makes it again and again. */
export function isNextToken(
  { ids, attention }: Pick<DecoderStep, 'ids' | 'attention'>,
  { outputHiddenStates }: DecoderInputs,
): boolean {
  return ids.shape[1] === 1 && !outputHiddenStates && !attention.weights
}

/** The last `count` positions of x [batch, seqLen, hiddenSize]; all when `count` is left out. */
export function lastPositions(x: tf.Tensor, count: number | undefined): tf.Tensor {
  const [batch, seqLen, hiddenSize] = x.shape as [number, number, number]
  if (count === undefined || count >= seqLen) return x
  return tf.slice(x, [0, seqLen - count, 0], [batch, count, hiddenSize])
}
