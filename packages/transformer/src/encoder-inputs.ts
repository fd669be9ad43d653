import { type AttentionStep, Recorder } from '@heed/layers'
import { paddingMask } from './decoder-inputs.ts'
import { checkIds, type FlatIds, flattenIds, type TokenIds } from './inputs.ts'

export interface EncoderInputs {
  /** Ids of the tokens: int32 [batch, seqLen] or nested arrays, as are all below. */
  inputIds: TokenIds
  /** 1 for tokens, 0 for padding. */
  attentionMask?: TokenIds | undefined
  /** Which part of a pair a token belongs to; 0 by default. */
  tokenTypeIds?: TokenIds | undefined
  positionIds?: TokenIds | undefined
  outputHiddenStates?: boolean | undefined
  outputAttentions?: boolean | undefined
}

/** Checked inputs of an encoder, as its layers want them. Throws HEED_ID_OUT_OF_RANGE, HEED_SHAPE_MISMATCH. */
export function encoderStep(
  where: string,
  { inputIds, attentionMask, outputAttentions }: EncoderInputs,
  vocabSize: number,
): { ids: FlatIds; attention: AttentionStep } {
  const ids = flattenIds(where, 'inputIds', inputIds)
  checkIds(where, 'inputIds', ids, { below: vocabSize, boundName: 'vocabSize' })
  const keyPaddingMask = attentionMask && paddingMask(where, attentionMask, [ids.batch, ids.seqLen])
  return {
    ids,
    attention: { ...(keyPaddingMask && { keyPaddingMask }), ...(outputAttentions && { weights: new Recorder() }) },
  }
}
