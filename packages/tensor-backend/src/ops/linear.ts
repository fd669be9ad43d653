import type { BackendKernel, KernelBackend } from '../backends/kernel-backend.ts'
import { tf } from '../tf.ts'
import { type Activation, activate, activationKind } from './activation.ts'
import { checkFloats, checkLastDim, checkRank, checkShape } from './checks.ts'
import { differentiable, hasKernel, isRecording, once, rowsAndCols, runKernel } from './fused.ts'

/** Which way a weight lies: [outFeatures, inFeatures] as PyTorch's linear layers, or the other way as GPT-2's `Conv1D`. */
export type WeightLayout = 'outIn' | 'inOut'

/**
 * y = activation(x · weightᵀ + bias), with layout `inOut` activation(x · weight + bias).
 * x: [..., inFeatures], weight: [outFeatures, inFeatures] as in HF files, bias: [outFeatures] -> [..., outFeatures].
 * Same numbers as `torch.nn.functional.linear`. Throws HEED_SHAPE_MISMATCH, HEED_DTYPE_UNSUPPORTED, HEED_ARGUMENT_INVALID.
 * `keepsPacked` lets the weight lie as products want it while no gradient is recorded and nothing else reads it: faster, but to
 * be given only where nothing else reads it as often as this product.
 */
export function linear(
  x: tf.Tensor,
  weight: tf.Tensor,
  bias?: tf.Tensor,
  activation: Activation = 'none',
  layout: WeightLayout = 'outIn',
  keepsPacked = false,
): tf.Tensor {
  const isInOut = layout === 'inOut'
  checkRank('linear', 'weight', weight, 2, isInOut ? '[inFeatures, outFeatures]' : '[outFeatures, inFeatures]')
  const [outFeatures, inFeatures] = (isInOut ? weight.shape.toReversed() : weight.shape) as [number, number]
  checkLastDim('linear', 'x', x, 'inFeatures', inFeatures)
  if (bias) checkShape('linear', 'bias', bias, [outFeatures])
  checkFloats('linear', bias ? { x, weight, bias } : { x, weight })
  const kind = activationKind('linear', activation)
  if (!hasKernel('HeedLinear')) return composedLinear(x, weight, bias, activation, layout)
  const recording = isRecording()
  const attributes = { kind, isInOut, keepsBefore: kind !== 0 && recording, keepsPacked: keepsPacked && !recording }
  const inputs = bias ? [x, weight, bias] : [x, weight]
  return differentiable(
    inputs,
    save => {
      const [y, before] = runKernel('HeedLinear', inputs, attributes)
      save(before ? [x, weight, before] : [x, weight])
      return y!
    },
    (dy, saved) => {
      const [input, matrix, before] = saved as [tf.Tensor, tf.Tensor, tf.Tensor | undefined]
      const gradient = once(() => (before ? runKernel('HeedActivationGradient', [dy, before], { kind }) : [dy]))
      const dz = (): tf.Tensor => (before ? gradient()[0]! : dy)
      return [
        () => runKernel('HeedLinearInputGradient', [dz(), matrix], { isInOut })[0]!,
        () => runKernel('HeedLinearWeightGradient', isInOut ? [input, dz()] : [dz(), input])[0]!,
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
  layout: WeightLayout = 'outIn',
): tf.Tensor {
  const outFeatures = weight.shape[layout === 'outIn' ? 0 : 1]!
  return tf.tidy(() => {
    const rows = x.reshape<tf.Tensor2D>([-1, x.shape.at(-1)!])
    const y = tf.matMul(rows, weight as tf.Tensor2D, false, layout === 'outIn') // [rows, outFeatures]
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

interface LinearAttributes {
  kind: number
  isInOut: boolean
  keepsBefore: boolean
  keepsPacked: boolean
}

export const linearKernels: Record<string, BackendKernel> = {
  /** [x, weight, bias?] -> [y], or with keepsBefore [y, before the activation] */
  HeedLinear(
    backend,
    [x, weight, bias]: [tf.TensorInfo, tf.TensorInfo, tf.TensorInfo?],
    { kind, isInOut, keepsBefore, keepsPacked }: LinearAttributes,
  ) {
    const { address, library } = backend
    const [rows, depth] = rowsAndCols(x)
    const cols = weight.shape[isInOut ? 1 : 0]!
    const shape = [...x.shape.slice(0, -1), cols]
    const y = backend.output(shape)
    const panels = keepsPacked ? backend.panels(weight, rows, { depth, cols, isTransposed: !isInOut }) : 0
    if (panels !== 0) {
      library.kernels.panelProduct(address(x), panels, bias ? address(bias) : 0, address(y), rows, cols, depth, kind)
      return [y]
    }
    const before = keepsBefore ? backend.output(shape) : undefined
    multiply(backend, rows, cols, depth, {
      a: address(x),
      b: address(weight),
      c: address(y),
      bias: bias ? address(bias) : 0,
      before: before ? address(before) : 0,
      isBTransposed: !isInOut,
      kind,
    })
    return before ? [y, before] : [y]
  },

  /** [dz, weight] -> dx = dz · weight, or dz · weightᵀ of a weight [inFeatures, outFeatures] */
  HeedLinearInputGradient(backend, [dz, weight]: [tf.TensorInfo, tf.TensorInfo], { isInOut }: { isInOut: boolean }) {
    const { address } = backend
    const [rows, depth] = rowsAndCols(dz)
    const cols = weight.shape[isInOut ? 0 : 1]!
    const dx = backend.output([...dz.shape.slice(0, -1), cols])
    multiply(backend, rows, cols, depth, {
      a: address(dz),
      b: address(weight),
      c: address(dx),
      isBTransposed: isInOut,
    })
    return dx
  },

  /** [dz, x] -> dweight = dzᵀ · x, over all rows; [x, dz] -> that of a weight [inFeatures, outFeatures] */
  HeedLinearWeightGradient(backend, [left, right]: [tf.TensorInfo, tf.TensorInfo]) {
    const { address } = backend
    const [depth, rows] = rowsAndCols(left)
    const cols = right.shape.at(-1)!
    const dweight = backend.output([rows, cols])
    const operands = { a: address(left), b: address(right), c: address(dweight) }
    multiply(backend, rows, cols, depth, { ...operands, isATransposed: true })
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
