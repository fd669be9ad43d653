import { tf } from '../tf.ts'
import { type Activation, activate } from './activation.ts'
import { checkLastDim, checkRank, checkShape } from './checks.ts'

/**
 * y = activation(x · weightᵀ + bias).
 * x: [..., inFeatures], weight: [outFeatures, inFeatures] as in HF files, bias: [outFeatures] -> [..., outFeatures].
 * Same numbers as `torch.nn.functional.linear`. Throws HEED_SHAPE_MISMATCH.
 */
export function linear(x: tf.Tensor, weight: tf.Tensor, bias?: tf.Tensor, activation: Activation = 'none'): tf.Tensor {
  checkRank('linear', 'weight', weight, 2, '[outFeatures, inFeatures]')
  const [outFeatures, inFeatures] = weight.shape as [number, number]
  checkLastDim('linear', 'x', x, 'inFeatures', inFeatures)
  if (bias) checkShape('linear', 'bias', bias, [outFeatures])
  return composedLinear(x, weight, bias, activation)
}

/** `linear` from tfjs's own ops. */
export function composedLinear(
  x: tf.Tensor,
  weight: tf.Tensor,
  bias: tf.Tensor | undefined,
  activation: Activation,
): tf.Tensor {
  const [outFeatures, inFeatures] = weight.shape as [number, number]
  return tf.tidy(() => {
    const rows = x.reshape<tf.Tensor2D>([-1, inFeatures])
    const y = tf.matMul(rows, weight as tf.Tensor2D, false, true) // [rows, outFeatures]
    const z = (bias ? tf.add(y, bias) : y).reshape([...x.shape.slice(0, -1), outFeatures])
    return activate(z, activation)
  })
}
