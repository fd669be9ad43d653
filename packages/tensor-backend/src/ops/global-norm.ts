import type { BackendKernel } from '../backends/kernel-backend.ts'
import { tf } from '../tf.ts'
import { checkFloats } from './checks.ts'
import { hasKernel, runKernel } from './fused.ts'
import { withTable, withWorkspace } from './workspace.ts'

/**
 * sqrt(Σ‖tensor‖²) over all tensors, as `torch.nn.utils.get_total_norm` -> scalar. No tensors give 0. Not differentiable.
 * Throws HEED_DTYPE_UNSUPPORTED.
 */
export function globalNorm(tensors: tf.Tensor[]): tf.Scalar {
  for (const tensor of tensors) checkFloats('globalNorm', { tensor })
  if (!hasKernel('HeedGlobalNorm')) return composedGlobalNorm(tensors)
  return runKernel('HeedGlobalNorm', tensors)[0] as tf.Scalar
}

/** `globalNorm` from tfjs's own ops. */
export function composedGlobalNorm(tensors: tf.Tensor[]): tf.Scalar {
  if (tensors.length === 0) return tf.scalar(0)
  return tf.tidy(() => tf.sqrt(tf.addN(tensors.map(tensor => tf.sum(tf.square(tensor))))))
}

// Elements of a piece, as in kernels/pieces.h: each leaves one partial sum.
const pieceSize = 4096

export const globalNormKernels: Record<string, BackendKernel> = {
  /** [...tensors] -> norm */
  HeedGlobalNorm(backend, inputs: tf.TensorInfo[]) {
    const norm = backend.output([])
    const tensors = Object.values(inputs)
    const sizes = tensors.map(({ shape }) => tf.util.sizeFromShape(shape))
    const pieces = sizes.reduce((total, size) => total + Math.ceil(size / pieceSize), 0)
    withTable(
      backend,
      tensors.flatMap((tensor, i) => [backend.address(tensor), sizes[i]!]),
      table => {
        withWorkspace(backend, pieces, partial => {
          backend.library.kernels.globalNorm(table, tensors.length, backend.address(norm), partial)
        })
      },
    )
    return norm
  },
}
