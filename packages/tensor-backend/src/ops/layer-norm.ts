import { tf } from '../tf.ts'
import { checkShape } from './checks.ts'

/**
 * y = (x - mean(x)) / sqrt(var(x) + eps) · weight + bias, over the last axis, with the biased variance.
 * x: [..., hiddenSize], weight and bias: [hiddenSize] -> same shape as x. Without a bias nothing is added.
 * Ba et al. 2016 (arXiv:1607.06450); same numbers as `torch.nn.LayerNorm`. Throws HEED_SHAPE_MISMATCH.
 */
export function layerNorm(x: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor | undefined, eps: number): tf.Tensor {
  checkShape('layerNorm', 'weight', weight, x.shape.slice(-1))
  if (bias) checkShape('layerNorm', 'bias', bias, x.shape.slice(-1))
  return composedLayerNorm(x, weight, bias, eps)
}

/** `layerNorm` from tfjs's own ops. */
export function composedLayerNorm(
  x: tf.Tensor,
  weight: tf.Tensor,
  bias: tf.Tensor | undefined,
  eps: number,
): tf.Tensor {
  return tf.tidy(() => {
    const centred = tf.sub(x, tf.mean(x, -1, true))
    const variance = tf.mean(tf.square(centred), -1, true) // [..., 1]
    const y = tf.mul(tf.mul(centred, tf.rsqrt(tf.add(variance, eps))), weight)
    return bias ? tf.add(y, bias) : y
  })
}
