import type { BackendKernel, KernelBackend } from '../backends/kernel-backend.ts'
import { tf } from '../tf.ts'
import { type Activation, activate, activationKinds } from './activation.ts'
import { checkFloats, checkLastDim, checkRank, checkShape } from './checks.ts'
import { differentiable, hasKernel, isRecording, once, rowsAndCols, runKernel } from './fused.ts'

/**
 * y = activation(x · weightᵀ + bias).
 * x: [..., inFeatures], weight: [outFeatures, inFeatures] as in HF files, bias: [outFeatures] -> [..., outFeatures].
 * Same numbers as `torch.nn.functional.linear`. Throws HEED_SHAPE_MISMATCH, HEED_DTYPE_UNSUPPORTED.
 */
export function linear(x: tf.Tensor, weight: tf.Tensor, bias?: tf.Tensor, activation: Activation = 'none'): tf.Tensor {
  checkRank('linear', 'weight', weight, 2, '[outFeatures, inFeatures]')
  const [outFeatures, inFeatures] = weight.shape as [number, number]
  checkLastDim('linear', 'x', x, 'inFeatures', inFeatures)
  if (bias) checkShape('linear', 'bias', bias, [outFeatures])
  checkFloats('linear', bias ? { x, weight, bias } : { x, weight })
  if (!hasKernel('HeedLinear')) return composedLinear(x, weight, bias, activation)
  const kind = activationKinds[activation]
  const inputs = bias ? [x, weight, bias] : [x, weight]
  return differentiable(
    inputs,
    save => {
      const [y, before] = runKernel('HeedLinear', inputs, { kind, keepsBefore: kind !== 0 && isRecording() })
      save(before ? [x, weight, before] : [x, weight])
      return y!
    },
    (dy, saved) => {
      const [input, matrix, before] = saved as [tf.Tensor, tf.Tensor, tf.Tensor | undefined]
      const gradient = once(() => (before ? runKernel('HeedActivationGradient', [dy, before], { kind }) : [dy]))
      const dz = (): tf.Tensor => (before ? gradient()[0]! : dy)
      return [
        () => runKernel('HeedLinearInputGradient', [dz(), matrix])[0]!,
        () => runKernel('HeedLinearWeightGradient', [dz(), input])[0]!,
        () => runKernel('HeedLinearBiasGradient', [dz()])[0]!,
      ].slice(0, inputs.length)
    },
  )
}

/** `linear` from tfjs's own ops. */
export function composedLinear(
  x: tf.Tensor,
  weight: tf.Tensor,
  bias: tf.Tensor | undefined,
  activation: Activation,
): tf.Tensor {
  const [outFeatures, inFeatures] = weight.shape as [number, number]
  return tf.tidy(() => {
    const rows = x.reshape<tf.Tensor2D>([-1, inFeatures])
    const y = tf.matMul(rows, weight as tf.Tensor2D, false, true) // [rows, outFeatures]
    const z = (bias ? tf.add(y, bias) : y).reshape([...x.shape.slice(0, -1), outFeatures])
    return activate(z, activation)
  })
}

interface Product {
  a: number
  b: number
  c: number
  bias?: number
  before?: number
  isATransposed?: boolean
  isBTransposed?: boolean
  kind?: number
}

/** C [rows, cols] = op(A) · op(B), summed over `depth`. */
function multiply({ library }: KernelBackend, rows: number, cols: number, depth: number, product: Product): void {
  const { a, b, c, bias = 0, before = 0, isATransposed, isBTransposed, kind = 0 } = product
  const [transposeA, transposeB] = [isATransposed ? 1 : 0, isBTransposed ? 1 : 0]
  library.kernels.matmul(a, b, bias, c, before, rows, cols, depth, transposeA, transposeB, 0, kind, 1, 0, 0)
}

export const linearKernels: Record<string, BackendKernel> = {
  /** [x, weight, bias?] -> [y], or with keepsBefore [y, before the activation] */
  HeedLinear(
    backend,
    [x, weight, bias]: [tf.TensorInfo, tf.TensorInfo, tf.TensorInfo?],
    { kind, keepsBefore }: { kind: number; keepsBefore: boolean },
  ) {
    const { address } = backend
    const [rows, depth] = rowsAndCols(x)
    const cols = weight.shape[0]!
    const shape = [...x.shape.slice(0, -1), cols]
    const y = backend.output(shape)
    const before = keepsBefore ? backend.output(shape) : undefined
    multiply(backend, rows, cols, depth, {
      a: address(x),
      b: address(weight),
      c: address(y),
      bias: bias ? address(bias) : 0,
      before: before ? address(before) : 0,
      isBTransposed: true,
      kind,
    })
    return before ? [y, before] : [y]
  },

  /** [dz, weight] -> dx = dz · weight */
  HeedLinearInputGradient(backend, [dz, weight]: [tf.TensorInfo, tf.TensorInfo]) {
    const { address } = backend
    const [rows, depth] = rowsAndCols(dz)
    const cols = weight.shape[1]!
    const dx = backend.output([...dz.shape.slice(0, -1), cols])
    multiply(backend, rows, cols, depth, { a: address(dz), b: address(weight), c: address(dx) })
    return dx
  },

  /** [dz, x] -> dweight = dzᵀ · x, over all rows */
  HeedLinearWeightGradient(backend, [dz, x]: [tf.TensorInfo, tf.TensorInfo]) {
    const { address } = backend
    const [depth, rows] = rowsAndCols(dz)
    const cols = x.shape.at(-1)!
    const dweight = backend.output([rows, cols])
    multiply(backend, rows, cols, depth, { a: address(dz), b: address(x), c: address(dweight), isATransposed: true })
    return dweight
  },

  /** [dz] -> dbias, the sum of its rows */
  HeedLinearBiasGradient(backend, [dz]: [tf.TensorInfo]) {
    const { address, library } = backend
    const [rows, cols] = rowsAndCols(dz)
    const dbias = backend.output([cols])
    library.kernels.reduce(address(dz), address(dbias), 1, rows, cols, 0)
    return dbias
  },
}
