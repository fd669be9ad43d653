import { tf } from '../tf.ts'
import { checkShape } from './checks.ts'

/**
 * y = x / sqrt(mean(x²) + eps) · weight, over the last axis.
 * x: [..., hiddenSize], weight: [hiddenSize] -> same shape as x.
 * Zhang & Sennrich 2019 (arXiv:1910.07467), eq. 4; same numbers as HF `LlamaRMSNorm`. Throws HEED_SHAPE_MISMATCH.
 */
export function rmsNorm(x: tf.Tensor, weight: tf.Tensor, eps: number): tf.Tensor {
  checkShape('rmsNorm', 'weight', weight, x.shape.slice(-1))
  return composedRmsNorm(x, weight, eps)
}

/** `rmsNorm` from tfjs's own ops. */
export function composedRmsNorm(x: tf.Tensor, weight: tf.Tensor, eps: number): tf.Tensor {
  return tf.tidy(() => {
    const meanSquare = tf.mean(tf.square(x), -1, true) // [..., 1]
    return tf.mul(tf.mul(x, tf.rsqrt(tf.add(meanSquare, eps))), weight)
  })
}
