import { crossEntropy, HeedError, tf } from '@heed/tensor-backend'
import type { ProblemType } from './config-fields.ts'
import { checkIds, IGNORE_INDEX, idTensor, readLabels, type TokenIds } from './inputs.ts'
import type { DecoderInputs, InnerStates } from './model.ts'

export type ClassifierOutput = InnerStates & {
  logits: tf.Tensor // [batch, numLabels], or [batch, seqLen, numLabels] for tokens
  loss?: tf.Scalar
}

/** What a decoder that classifies texts is given. */
export interface SequenceClassifierInputs extends Omit<DecoderInputs, 'cache'> {
  labels?: SequenceLabels | undefined
}

/** The class of each sequence [batch]; or numbers to predict, or a 0 or 1 for each class, [batch, numLabels]. */
export type SequenceLabels = tf.Tensor | readonly number[] | readonly (readonly number[])[]

/**
 * { loss } of a sequence classifier, as HF `ForSequenceClassificationLoss`: squared error, cross-entropy, or binary
 * cross-entropy per class. logits: [batch, numLabels]. Nothing without labels.
 * Throws HEED_SHAPE_MISMATCH, HEED_ID_OUT_OF_RANGE.
 */
export function sequenceLoss(
  where: string,
  logits: tf.Tensor,
  labels: SequenceLabels | undefined,
  problemType: ProblemType | null,
): { loss?: tf.Scalar } {
  if (labels === undefined) return {}
  const [batch, numLabels] = logits.shape as [number, number]
  const target = labels instanceof tf.Tensor ? labels : tf.tensor(labels as number[])
  const isWhole = labels instanceof tf.Tensor ? labels.dtype === 'int32' : target.rank === 1 && numLabels > 1
  const problem =
    problemType ??
    (numLabels === 1 ? 'regression' : isWhole ? 'single_label_classification' : 'multi_label_classification')
  const expected = problem === 'single_label_classification' || numLabels === 1 ? [batch] : [batch, numLabels]
  if (target.size !== tf.util.sizeFromShape(expected)) {
    throw new HeedError(
      'HEED_SHAPE_MISMATCH',
      `${where}: labels has shape [${target.shape.join(', ')}], expected [${expected.join(', ')}] for ${problem}.`,
    )
  }
  if (problem === 'single_label_classification') {
    const ids = { values: target.cast('int32').dataSync<'int32'>(), batch: 1, seqLen: batch }
    checkIds(where, 'labels', ids, { below: numLabels, boundName: 'the number of labels', ignoreIndex: IGNORE_INDEX })
    return { loss: crossEntropy(logits, tf.tensor1d(ids.values, 'int32')) }
  }
  const y = target.toFloat().reshape(logits.shape)
  if (problem === 'regression') return { loss: tf.mean(tf.square(tf.sub(logits, y))) }
  // -y log σ(x) - (1 - y) log(1 - σ(x)), without overflow
  const terms = tf.add(tf.sub(tf.relu(logits), tf.mul(logits, y)), tf.log1p(tf.exp(tf.neg(tf.abs(logits)))))
  return { loss: tf.mean(terms) }
}

/** { loss }: mean cross-entropy of logits [batch, seqLen, numClasses] and labels [batch, seqLen], in nats; nothing without labels. */
export function tokenLoss(where: string, logits: tf.Tensor, labels: TokenIds | undefined): { loss?: tf.Scalar } {
  if (!labels) return {}
  const [batch, seqLen, numClasses] = logits.shape as [number, number, number]
  const ids = readLabels(where, labels, [batch, seqLen], { below: numClasses, boundName: 'the number of classes' })
  return { loss: crossEntropy(logits, idTensor(ids)) }
}

/** Position of the last token of each row that is not padding, wherever the padding is: what a decoder classifies a text by. */
export function lastTokens(ids: readonly (readonly number[])[], padTokenId: number | null): number[] {
  return ids.map(row => {
    const last = row.findLastIndex(id => id !== padTokenId)
    return Math.max(0, last)
  })
}

/** Row i of x [batch, seqLen, size] at position positions[i] -> [batch, size]. */
export function rowsAt(x: tf.Tensor, positions: readonly number[]): tf.Tensor {
  const [, seqLen, size] = x.shape as [number, number, number]
  const indices = tf.tensor1d(
    positions.map((position, i) => i * seqLen + position),
    'int32',
  )
  return tf.gather(x.reshape([-1, size]), indices)
}
