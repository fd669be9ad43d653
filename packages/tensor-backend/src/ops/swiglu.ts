import { tf } from '../tf.ts'
import { activate } from './activation.ts'
import { checkShape } from './checks.ts'

/**
 * y = silu(gate) · up, element-wise: the gate of Shazeer 2020 (arXiv:2002.05202), eq. 6, as in HF `LlamaMLP`.
 * gate and up: same shape -> that shape. Throws HEED_SHAPE_MISMATCH.
 */
export function swiGlu(gate: tf.Tensor, up: tf.Tensor): tf.Tensor {
  checkShape('swiGlu', 'up', up, gate.shape)
  return composedSwiGlu(gate, up)
}

/** `swiGlu` from tfjs's own ops. */
export function composedSwiGlu(gate: tf.Tensor, up: tf.Tensor): tf.Tensor {
  return tf.tidy(() => tf.mul(activate(gate, 'silu'), up))
}
