import type { BackendKernel } from '../backends/kernel-backend.ts'
import { tf } from '../tf.ts'
import { checkEps, checkFloats, checkShape } from './checks.ts'
import { differentiable, hasKernel, once, rowsAndCols, runKernel } from './fused.ts'
import { rowParts, withWorkspace } from './workspace.ts'

/**
 * y = (x - mean(x)) / sqrt(var(x) + eps) · weight + bias, over the last axis, with the biased variance.
 * x: [..., hiddenSize], weight and bias: [hiddenSize] -> same shape as x. Without a bias nothing is added.
 * Ba et al. 2016 (arXiv:1607.06450); same numbers as `torch.nn.LayerNorm`. Throws HEED_SHAPE_MISMATCH,
 * HEED_DTYPE_UNSUPPORTED, HEED_ARGUMENT_INVALID.
 */
export function layerNorm(x: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor | undefined, eps: number): tf.Tensor {
  checkShape('layerNorm', 'weight', weight, x.shape.slice(-1))
  checkFloats('layerNorm', { x, weight })
  checkEps('layerNorm', eps)
  if (bias) {
    checkShape('layerNorm', 'bias', bias, x.shape.slice(-1))
    checkFloats('layerNorm', { bias })
  }
  if (!hasKernel('HeedLayerNorm')) return composedLayerNorm(x, weight, bias, eps)
  const inputs = bias ? [x, weight, bias] : [x, weight]
  return differentiable(
    inputs,
    save => {
      const [y, mean, inverse] = runKernel('HeedLayerNorm', inputs, { eps }) as [tf.Tensor, tf.Tensor, tf.Tensor]
      save([x, weight, mean, inverse])
      return y
    },
    (dy, saved) => {
      const gradients = once(() => runKernel('HeedLayerNormGradient', [dy, ...saved], { hasBias: bias !== undefined }))
      return inputs.map((_, i) => () => gradients()[i]!)
    },
  )
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

export const layerNormKernels: Record<string, BackendKernel> = {
  /** [x, weight, bias?] -> [y, mean, inverse], mean and inverse: [rows]. */
  HeedLayerNorm(backend, [x, weight, bias]: [tf.TensorInfo, tf.TensorInfo, tf.TensorInfo?], { eps }: { eps: number }) {
    const { address, library } = backend
    const [rows, cols] = rowsAndCols(x)
    const y = backend.output(x.shape)
    const [mean, inverse] = [backend.output([rows]), backend.output([rows])]
    const inputs = [address(x), address(weight), bias ? address(bias) : 0] as const
    library.kernels.layerNorm(...inputs, address(y), address(mean), address(inverse), rows, cols, eps)
    return [y, mean, inverse]
  },

  /** [dy, x, weight, mean, inverse] -> [dx, dweight, dbias?] */
  HeedLayerNormGradient(backend, inputs: tf.TensorInfo[], { hasBias }: { hasBias: boolean }) {
    const { address, library } = backend
    const [, x, weight] = inputs as [tf.TensorInfo, tf.TensorInfo, tf.TensorInfo]
    const [rows, cols] = rowsAndCols(x)
    const outputs = [x, weight, ...(hasBias ? [weight] : [])].map(({ shape }) => backend.output(shape))
    const parts = rowParts(rows)
    withWorkspace(backend, (parts + 1) * 2 * cols, workspace => {
      const from = inputs.map(address) as [number, number, number, number, number]
      const [dx, dweight, dbias = 0] = outputs.map(address) as [number, number, number?]
      library.kernels.layerNormGradient(...from, dx, dweight, dbias, workspace, parts, rows, cols)
    })
    return outputs
  },
}
