import { type Activation, gelu, silu, tf } from '@heed/tensor-backend'

/** An element-wise activation by name. x: any shape -> same shape. */
export function activate(x: tf.Tensor, activation: Activation): tf.Tensor {
  switch (activation) {
    case 'none':
      return x
    case 'relu':
      return tf.relu(x)
    case 'silu':
      return silu(x)
    case 'gelu':
      return gelu(x)
    case 'geluTanh':
      return gelu(x, 'tanh')
  }
}
