import { tf } from '../tf.ts'

/** sqrt(Σ‖tensor‖²) over all tensors, as `torch.nn.utils.get_total_norm` -> scalar. No tensors give 0. */
export function globalNorm(tensors: tf.Tensor[]): tf.Scalar {
  return composedGlobalNorm(tensors)
}

/** `globalNorm` from tfjs's own ops. */
export function composedGlobalNorm(tensors: tf.Tensor[]): tf.Scalar {
  if (tensors.length === 0) return tf.scalar(0)
  return tf.tidy(() => tf.sqrt(tf.addN(tensors.map(tensor => tf.sum(tf.square(tensor))))))
}
