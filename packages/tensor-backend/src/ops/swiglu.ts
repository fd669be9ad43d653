import type { BackendKernel } from '../backends/kernel-backend.ts'
import { tf } from '../tf.ts'
import { composedActivation } from './activation.ts'
import { checkFloats, checkShape } from './checks.ts'
import { differentiable, hasKernel, once, runKernel } from './fused.ts'

/**
 * y = silu(gate) · up, element-wise: the gate of Shazeer 2020 (arXiv:2002.05202), eq. 6, as in HF `LlamaMLP`.
 * gate and up: same shape -> that shape. Throws HEED_SHAPE_MISMATCH, HEED_DTYPE_UNSUPPORTED.
 */
export function swiGlu(gate: tf.Tensor, up: tf.Tensor): tf.Tensor {
  checkShape('swiGlu', 'up', up, gate.shape)
  checkFloats('swiGlu', { gate, up })
  if (!hasKernel('HeedSwiGlu')) return composedSwiGlu(gate, up)
  return differentiable(
    [gate, up],
    save => {
      save([gate, up])
      return runKernel('HeedSwiGlu', [gate, up])[0]!
    },
    (dy, saved) => {
      const gradients = once(() => runKernel('HeedSwiGluGradient', [dy, ...saved]))
      return [() => gradients()[0]!, () => gradients()[1]!]
    },
  )
}

/** `swiGlu` from tfjs's own ops. */
export function composedSwiGlu(gate: tf.Tensor, up: tf.Tensor): tf.Tensor {
  return tf.tidy(() => tf.mul(composedActivation(gate, 'silu'), up))
}

export const swiGluKernels: Record<string, BackendKernel> = {
  /** [gate, up] -> y */
  HeedSwiGlu(backend, [gate, up]: [tf.TensorInfo, tf.TensorInfo]) {
    const { address, library } = backend
    const y = backend.output(gate.shape)
    library.kernels.swiglu(address(gate), address(up), address(y), tf.util.sizeFromShape(gate.shape))
    return y
  },

  /** [dy, gate, up] -> [dgate, dup] */
  HeedSwiGluGradient(backend, [dy, gate, up]: [tf.TensorInfo, tf.TensorInfo, tf.TensorInfo]) {
    const { address, library } = backend
    const [dgate, dup] = [backend.output(gate.shape), backend.output(up.shape)]
    const count = tf.util.sizeFromShape(gate.shape)
    library.kernels.swigluGradient(address(dy), address(gate), address(up), address(dgate), address(dup), count)
    return [dgate, dup]
  },
}
