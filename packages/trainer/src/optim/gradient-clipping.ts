import { globalNorm, tf } from '@heed/tensor-backend'
import type { Gradients } from './optimizer.ts'

/** The norm of all gradients as one vector -> scalar, as `torch.nn.utils.get_total_norm`. */
export function gradientNorm(gradients: Gradients): tf.Scalar {
  return globalNorm([...gradients.values()])
}

/** min(1, maxNorm / (norm + 1e-6)): what gradients are scaled by, as in `torch.nn.utils.clip_grad_norm_`. */
export function clipFactor(norm: tf.Scalar, maxNorm: number): tf.Scalar {
  return tf.tidy(() => tf.minimum(1, tf.div(maxNorm, tf.add(norm, 1e-6))))
}
