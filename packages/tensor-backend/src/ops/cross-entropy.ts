import { tf } from '../tf.ts'
import { checkDtype, checkShape } from './checks.ts'

export interface CrossEntropyOptions {
  /** Labels of this value neither count nor get a gradient; -100 as in PyTorch and HF. */
  ignoreIndex?: number
  /** Weight of the uniform distribution in the target, 0 to 1. Szegedy et al. 2015 (arXiv:1512.00567). */
  labelSmoothing?: number
  /** `mean` over the labels that count, or their `sum`. */
  reduction?: 'mean' | 'sum'
}

/**
 * -log softmax(logits)[label], averaged over the labels that are not `ignoreIndex`, in nats.
 * logits: [..., vocabSize], labels: int32 [...] -> scalar; 0 when every label is ignored.
 * Same numbers as `torch.nn.functional.cross_entropy`. Throws HEED_SHAPE_MISMATCH, HEED_DTYPE_UNSUPPORTED.
 */
export function crossEntropy(
  logits: tf.Tensor,
  labels: tf.Tensor,
  { ignoreIndex = -100, labelSmoothing = 0, reduction = 'mean' }: CrossEntropyOptions = {},
): tf.Scalar {
  checkDtype('crossEntropy', 'labels', labels, 'int32')
  checkShape('crossEntropy', 'labels', labels, logits.shape.slice(0, -1))
  return composedCrossEntropy(logits, labels, { ignoreIndex, labelSmoothing, reduction })
}

/** `crossEntropy` from tfjs's own ops. */
export function composedCrossEntropy(
  logits: tf.Tensor,
  labels: tf.Tensor,
  { ignoreIndex, labelSmoothing, reduction }: Required<CrossEntropyOptions>,
): tf.Scalar {
  const vocabSize = logits.shape.at(-1)!
  return tf.tidy(() => {
    const rows = logits.reshape([-1, vocabSize])
    const flat = labels.flatten()
    const counts = tf.notEqual(flat, ignoreIndex).toFloat() // [rows]
    const logProbs = tf.logSoftmax(rows)
    const oneHot = tf.oneHot(tf.where(counts.toBool(), flat, 0).toInt(), vocabSize).toFloat()
    const target = tf.add(tf.mul(oneHot, 1 - labelSmoothing), labelSmoothing / vocabSize)
    const total = tf.sum(tf.mul(tf.neg(tf.sum(tf.mul(logProbs, target), -1)), counts))
    return (reduction === 'sum' ? total : tf.div(total, tf.maximum(tf.sum(counts), 1))) as tf.Scalar
  })
}
