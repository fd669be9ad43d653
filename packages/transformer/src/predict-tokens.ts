import { crossEntropy, tf } from '@heed/tensor-backend'
import { type FlatIds, IGNORE_INDEX, idTensor, readLabels, shiftedLabels, type TokenIds } from './inputs.ts'

/** What a head over the vocabulary is given beside the hidden states. */
export interface TokenLabels {
  /** Ids to predict, as `inputIds`; -100 does not count. */
  labels?: TokenIds | undefined
  /**
   * Score only positions that have a label: logits are then [1, numLabels, vocabSize], and the loss is the same. Masked language
   * models label 15 % of their positions. Name as in HF's ModernBERT; default false.
   */
  sparsePrediction?: boolean | undefined
}

/** Of all positions, from which share with a label on it is not worth while to copy them out. */
const denseShare = 0.8

/**
 * What `head` says of the tokens at the positions of x [batch, seqLen, hiddenSize], with the mean cross-entropy of the labels in
 * nats where there are any. `predictsNext`: position i is for the label at i + 1, as in HF's `ForCausalLMLoss`.
 * Throws HEED_ID_OUT_OF_RANGE, HEED_SHAPE_MISMATCH.
 */
export function predictTokens(
  where: string,
  x: tf.Tensor,
  head: (x: tf.Tensor) => tf.Tensor,
  { labels, sparsePrediction, vocabSize, predictsNext }: TokenLabels & { vocabSize: number; predictsNext: boolean },
): { logits: tf.Tensor; loss?: tf.Scalar } {
  if (!labels) return { logits: head(x) }
  const [batch, seqLen] = x.shape as [number, number, number]
  const given = readLabels(where, labels, [batch, seqLen], { below: vocabSize, boundName: 'vocabSize' })
  const ids = predictsNext ? shiftedLabels(given) : given
  const scored = sparsePrediction ? labelledPositions(x, ids) : { x, ids }
  const logits = head(scored.x)
  return { logits, loss: crossEntropy(logits, idTensor(scored.ids)) }
}

/** The positions of x that have a label, as one row, and their labels; all of them where most have one, or none. */
function labelledPositions(x: tf.Tensor, ids: FlatIds): { x: tf.Tensor; ids: FlatIds } {
  const places = Int32Array.from(ids.values.keys()).filter(place => ids.values[place] !== IGNORE_INDEX)
  const seqLen = places.length
  if (seqLen === 0 || seqLen > denseShare * ids.values.length) return { x, ids }
  const rows = tf.gather(x.reshape([-1, x.shape.at(-1)!]), tf.tensor1d(places, 'int32'))
  return { x: rows.expandDims(0), ids: { values: ids.values.filter(id => id !== IGNORE_INDEX), batch: 1, seqLen } }
}
