import { tf } from '../tf.ts'
import { checkDtype, checkRank } from './checks.ts'
import { differentiable } from './fused.ts'

/**
 * y[..., :] = weight[ids[...], :].
 * ids: int32 of any shape, weight: [vocabSize, hiddenSize] -> [...ids.shape, hiddenSize]. Same as `torch.nn.Embedding`.
 * Throws HEED_SHAPE_MISMATCH, HEED_DTYPE_UNSUPPORTED.
 */
export function embedding(ids: tf.Tensor, weight: tf.Tensor): tf.Tensor {
  checkDtype('embedding', 'ids', ids, 'int32')
  checkRank('embedding', 'weight', weight, 2, '[vocabSize, hiddenSize]')
  return composedEmbedding(ids, weight)
}

/** `embedding` from tfjs's own ops; the gradient is a product with one-hot rows, which every backend serves. */
export function composedEmbedding(ids: tf.Tensor, weight: tf.Tensor): tf.Tensor {
  const [vocabSize, hiddenSize] = weight.shape as [number, number]
  return differentiable(
    [weight],
    save => {
      save([ids])
      return tf.gather(weight, ids)
    },
    (dy, [saved]) => [
      () =>
        tf.tidy(() => {
          const rows = tf.oneHot(saved!.flatten().toInt(), vocabSize).toFloat() as tf.Tensor2D // [numIds, vocabSize]
          return tf.matMul(rows, dy.reshape<tf.Tensor2D>([-1, hiddenSize]), true, false)
        }),
    ],
  )
}
