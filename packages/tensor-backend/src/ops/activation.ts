import { tf } from '../tf.ts'

/** Names as in HF's `hidden_act`, in camelCase: `gelu` is the exact erf form, `geluTanh` HF's `gelu_new`. */
export type Activation = 'none' | 'relu' | 'silu' | 'gelu' | 'geluTanh'

/** Applies an activation element-wise. x: any shape -> same shape. */
export function activate(x: tf.Tensor, activation: Activation): tf.Tensor {
  switch (activation) {
    case 'none':
      return x.clone()
    case 'relu':
      return tf.relu(x)
    case 'silu':
      return tf.tidy(() => tf.mul(x, tf.sigmoid(x)))
    case 'gelu':
      return tf.tidy(() => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1)))
    case 'geluTanh':
      return tf.tidy(() => {
        const inner = tf.mul(tf.add(x, tf.mul(tf.mul(tf.square(x), x), 0.044715)), Math.sqrt(2 / Math.PI))
        return tf.mul(tf.mul(x, 0.5), tf.add(tf.tanh(inner), 1))
      })
  }
}

/** silu(x) = x · sigmoid(x). Any shape. Elfwing et al. 2017 (arXiv:1702.03118). */
export function silu(x: tf.Tensor): tf.Tensor {
  return activate(x, 'silu')
}

/** gelu(x) = x · Φ(x), exact or by its tanh approximation. Any shape. Hendrycks & Gimpel 2016 (arXiv:1606.08415). */
export function gelu(x: tf.Tensor, approximate: 'none' | 'tanh' = 'none'): tf.Tensor {
  return activate(x, approximate === 'tanh' ? 'geluTanh' : 'gelu')
}
