import type { BackendKernel } from '../backends/kernel-backend.ts'
import { tf } from '../tf.ts'
import { checkDtype, checkFloats, checkIds, checkLastDim, checkShape } from './checks.ts'
import { differentiable, rowsAndCols, runKernel } from './fused.ts'
import { composedLinear } from './linear.ts'
import { type QuantizedType, quantaFloats, quantizedKinds } from './quantized-format.ts'
import type { QuantizedWeight } from './quantized-weight.ts'
import { withWorkspace } from './workspace.ts'

/**
 * y = x · weightᵀ + bias with a weight in few bits. Blocks of 4 to 8 bits are multiplied by x rounded to 8 bits, 32 values
 * to a scale, as llama.cpp does; 16-bit floats by x itself. Differentiable by x.
 * x: [..., inFeatures], weight: [outFeatures, inFeatures], bias: [outFeatures] -> [..., outFeatures].
 * Throws HEED_SHAPE_MISMATCH, HEED_DTYPE_UNSUPPORTED, HEED_BACKEND_UNAVAILABLE, HEED_IO on a weight still in a file that has changed.
 */
export function quantizedLinear(x: tf.Tensor, weight: QuantizedWeight, bias?: tf.Tensor): tf.Tensor {
  const [outFeatures, inFeatures] = weight.shape
  checkLastDim('quantizedLinear', 'x', x, 'inFeatures', inFeatures)
  checkFloats('quantizedLinear', { x })
  if (bias) {
    checkShape('quantizedLinear', 'bias', bias, [outFeatures])
    checkFloats('quantizedLinear', { bias })
  }
  const attributes = weight.attributes()
  if (!weight.isPacked) return composedLinear(x, weight.data, bias, 'none')
  const inputs = bias ? [x, bias] : [x]
  return differentiable(
    inputs,
    () => {
      const first = weight.firstProduct(x, bias)
      if (first) return first
      const strips = weight.strips()
      return runKernel('HeedQuantizedLinear', bias ? [x, strips, bias] : [x, strips], attributes)[0]!
    },
    dy => {
      const rows = (): tf.Tensor2D => dy.reshape([-1, outFeatures])
      const ofInput = (): tf.Tensor =>
        tf.tidy(() => tf.matMul(rows(), weight.dequantize() as tf.Tensor2D).reshape(x.shape))
      const ofBias = (): tf.Tensor => tf.tidy(() => tf.sum(rows(), 0))
      return [ofInput, ofBias].slice(0, inputs.length)
    },
  )
}

/**
 * y[..., :] = weight[ids[...], :] with a weight in few bits. ids: int32 of any shape -> [...ids.shape, inFeatures].
 * Throws HEED_DTYPE_UNSUPPORTED, HEED_ID_OUT_OF_RANGE, HEED_BACKEND_UNAVAILABLE.
 */
export function quantizedEmbedding(ids: tf.Tensor, weight: QuantizedWeight): tf.Tensor {
  checkDtype('quantizedEmbedding', 'ids', ids, 'int32')
  const [vocabSize, hiddenSize] = weight.shape
  checkIds('quantizedEmbedding', 'ids', ids, 'vocabSize', vocabSize)
  return tf.tidy(() => weight.dequantize(ids).reshape([...ids.shape, hiddenSize]))
}

export const quantizedLinearKernels: Record<string, BackendKernel> = {
  /** [x, strips, bias?] -> y */
  HeedQuantizedLinear(
    backend,
    [x, strips, bias]: [tf.TensorInfo, tf.TensorInfo, tf.TensorInfo?],
    { type, rows: out }: { type: QuantizedType; rows: number },
  ) {
    const { address, library } = backend
    const [rows, cols] = rowsAndCols(x)
    const y = backend.output([...x.shape.slice(0, -1), out])
    withWorkspace(backend, quantaFloats(type, rows, cols), workspace => {
      const tensors = [address(x), address(strips), bias ? address(bias) : 0, address(y), workspace] as const
      library.kernels.quantizedLinear(...tensors, quantizedKinds[type], rows, cols, out)
    })
    return y
  },
}
