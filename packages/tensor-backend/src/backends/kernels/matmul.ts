import { tf } from '../../tf.ts'
import type { BackendKernel, KernelBackend } from '../kernel-backend.ts'
import { batchRuns } from './axes.ts'

interface MatMulInputs {
  a: tf.TensorInfo
  b: tf.TensorInfo
}

interface MatMulAttributes {
  transposeA: boolean
  transposeB: boolean
}

interface FusedMatMulInputs extends MatMulInputs {
  bias?: tf.TensorInfo
  preluActivationWeights?: tf.TensorInfo
}

interface FusedMatMulAttributes extends MatMulAttributes {
  activation: tf.fused.Activation
  leakyreluAlpha?: number
}

/** C = op(A) · op(B) (+ bias), for each matrix of a batch; the axes of the batch broadcast. */
function multiply(
  backend: KernelBackend,
  { a, b }: MatMulInputs,
  { transposeA, transposeB }: MatMulAttributes,
  bias?: tf.TensorInfo,
): tf.TensorInfo {
  const [rows, depth] = transposeA ? [a.shape.at(-1)!, a.shape.at(-2)!] : [a.shape.at(-2)!, a.shape.at(-1)!]
  const [cols, depthB] = transposeB ? [b.shape.at(-2)!, b.shape.at(-1)!] : [b.shape.at(-1)!, b.shape.at(-2)!]
  tf.util.assert(
    depth === depthB,
    () =>
      `Error in matMul: inner shapes (${depth}) and (${depthB}) of Tensors with shapes ${a.shape} and ${b.shape} ` +
      `and transposeA=${transposeA} and transposeB=${transposeB} must match.`,
  )
  const batch = tf.broadcast_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2))
  const c = backend.output([...batch, rows, cols])
  const { address, library } = backend
  const [aAddress, bAddress, cAddress] = [address(a), address(b), address(c)]
  const biasAddress = bias ? address(bias) : 0
  const runs = batchRuns(batch, a.shape.slice(0, -2), b.shape.slice(0, -2))
  for (const { at, count, a: aMatrix, b: bMatrix, aStep, bStep } of runs) {
    library.kernels.matmul(
      aAddress + 4 * aMatrix * rows * depth,
      bAddress + 4 * bMatrix * cols * depth,
      biasAddress,
      cAddress + 4 * at * rows * cols,
      0,
      rows,
      cols,
      depth,
      transposeA ? 1 : 0,
      transposeB ? 1 : 0,
      0,
      0,
      count,
      aStep * rows * depth,
      bStep * cols * depth,
    )
  }
  return c
}

const areFloats = (...tensors: Array<tf.TensorInfo | undefined>): boolean =>
  tensors.every(tensor => !tensor || tensor.dtype === 'float32')

const activationKernelNames: Partial<Record<tf.fused.Activation, string>> = {
  relu: 'Relu',
  relu6: 'Relu6',
  elu: 'Elu',
  sigmoid: 'Sigmoid',
  leakyrelu: 'LeakyRelu',
  prelu: 'Prelu',
}

export const matmulKernels: Record<string, BackendKernel> = {
  BatchMatMul(backend, inputs: MatMulInputs, attributes: MatMulAttributes) {
    if (!areFloats(inputs.a, inputs.b)) return backend.cpuKernel('BatchMatMul', inputs, attributes)
    return multiply(backend, inputs, attributes)
  },

  _FusedMatMul(backend, inputs: FusedMatMulInputs, attributes: FusedMatMulAttributes) {
    const { a, b, bias, preluActivationWeights } = inputs
    if (!areFloats(a, b, bias)) return backend.cpuKernel('_FusedMatMul', inputs, attributes)
    const cols = b.shape.at(attributes.transposeB ? -2 : -1)
    const isRow = bias !== undefined && bias.shape.at(-1) === cols && tf.util.sizeFromShape(bias.shape) === cols
    let y = multiply(backend, { a, b }, attributes, isRow ? bias : undefined)
    const replace = (next: tf.TensorInfo): void => {
      backend.disposeIntermediateTensorInfo(y)
      y = next
    }
    if (bias && !isRow) replace(backend.kernel('Add', { a: y, b: bias }))
    const activation = activationKernelNames[attributes.activation]
    if (activation === 'Prelu') replace(backend.kernel(activation, { x: y, alpha: preluActivationWeights! }))
    else if (activation) replace(backend.kernel(activation, { x: y }, { alpha: attributes.leakyreluAlpha }))
    return y
  },
}
