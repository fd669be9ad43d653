import type { BackendKernel } from '../backends/kernel-backend.ts'
import { tf } from '../tf.ts'
import { checkEps, checkFloats, checkShape } from './checks.ts'
import { differentiable, hasKernel, once, rowsAndCols, runKernel } from './fused.ts'
import { rowParts, withWorkspace } from './workspace.ts'

/**
 * y = x / sqrt(mean(x²) + eps) · weight, over the last axis.
 * x: [..., hiddenSize], weight: [hiddenSize] -> same shape as x.
 * Zhang & Sennrich 2019 (arXiv:1910.07467), eq. 4; same numbers as HF `LlamaRMSNorm`. Throws HEED_SHAPE_MISMATCH,
 * HEED_DTYPE_UNSUPPORTED, HEED_ARGUMENT_INVALID.
 */
export function rmsNorm(x: tf.Tensor, weight: tf.Tensor, eps: number): tf.Tensor {
  checkShape('rmsNorm', 'weight', weight, x.shape.slice(-1))
  checkFloats('rmsNorm', { x, weight })
  checkEps('rmsNorm', eps)
  if (!hasKernel('HeedRmsNorm')) return composedRmsNorm(x, weight, eps)
  return differentiable(
    [x, weight],
    save => {
      const [y, inverse] = runKernel('HeedRmsNorm', [x, weight], { eps }) as [tf.Tensor, tf.Tensor]
      save([x, weight, inverse])
      return y
    },
    (dy, saved) => {
      const gradients = once(() => runKernel('HeedRmsNormGradient', [dy, ...saved]))
      return [() => gradients()[0]!, () => gradients()[1]!]
    },
  )
}

/** `rmsNorm` from tfjs's own ops. */
export function composedRmsNorm(x: tf.Tensor, weight: tf.Tensor, eps: number): tf.Tensor {
  return tf.tidy(() => {
    const meanSquare = tf.mean(tf.square(x), -1, true) // [..., 1]
    return tf.mul(tf.mul(x, tf.rsqrt(tf.add(meanSquare, eps))), weight)
  })
}

export const rmsNormKernels: Record<string, BackendKernel> = {
  /** [x, weight] -> [y, inverse], inverse: [rows], 1 / rms of each row. */
  HeedRmsNorm(backend, [x, weight]: [tf.TensorInfo, tf.TensorInfo], { eps }: { eps: number }) {
    const { address, library } = backend
    const [rows, cols] = rowsAndCols(x)
    const y = backend.output(x.shape)
    const inverse = backend.output([rows])
    library.kernels.rmsNorm(address(x), address(weight), address(y), address(inverse), rows, cols, eps)
    return [y, inverse]
  },

  /** [dy, x, weight, inverse] -> [dx, dweight] */
  HeedRmsNormGradient(backend, [dy, x, weight, inverse]: [tf.TensorInfo, tf.TensorInfo, tf.TensorInfo, tf.TensorInfo]) {
    const { address, library } = backend
    const [rows, cols] = rowsAndCols(x)
    const dx = backend.output(x.shape)
    const dweight = backend.output(weight.shape)
    const parts = rowParts(rows)
    withWorkspace(backend, parts * cols, workspace => {
      const inputs = [address(dy), address(x), address(weight), address(inverse)] as const
      library.kernels.rmsNormGradient(...inputs, address(dx), address(dweight), workspace, parts, rows, cols)
    })
    return [dx, dweight]
  },
}
