import { tf } from '../../tf.ts'
import type { BackendKernel, KernelBackend } from '../kernel-backend.ts'
import type { Axes } from '../library.ts'
import { broadcastStrides, type JoinedAxes, joinAxes } from './axes.ts'

interface BinaryInputs {
  a: tf.TensorInfo
  b: tf.TensorInfo
}

interface UnaryInputs {
  x: tf.TensorInfo
}

/** The numbers of the dtypes in kernels/elementwise.cc. */
const types: Partial<Record<tf.DataType, number>> = { float32: 0, int32: 1, bool: 2 }

/** `Binary` in kernels/elementwise.cc. */
const arithmetic = ['Add', 'Sub', 'Multiply', 'RealDiv', 'Maximum', 'Minimum', 'SquaredDifference', 'Pow']
const comparisons = ['Equal', 'NotEqual', 'Less', 'LessEqual', 'Greater', 'GreaterEqual', 'LogicalAnd', 'LogicalOr']
/** The dtypes a kernel serves; tfjs's cpu kernels take the others. */
const floatOnly = new Set(['RealDiv', 'Pow'])

/** `Unary` in kernels/elementwise.cc. */
const functions = [
  ...['Neg', 'Abs', 'Square', 'Sqrt', 'Rsqrt', 'Reciprocal', 'Exp', 'Log', 'Sigmoid', 'Tanh', 'Erf', 'Relu'],
  ...['Relu6', 'LeakyRelu', 'Elu', 'Floor', 'Ceil', 'Round', 'Sin', 'Cos', 'Log1p', 'Expm1', 'Step', 'Sign'],
]

const noAxes: Axes = [0, 0, 0, 0, 0]
const lastAxis: Axes = [0, 0, 0, 0, 1]

/** The shape of a ∘ b and how the kernel walks both; no axes where it cannot. */
function broadcast(a: number[], b: number[]): { shape: number[]; axes: JoinedAxes | undefined } {
  if (tf.util.arraysEqual(a, b)) {
    return { shape: a, axes: { sizes: [1, 1, 1, 1, tf.util.sizeFromShape(a)], a: lastAxis, b: lastAxis } }
  }
  if (b.length === 0) {
    return { shape: a, axes: { sizes: [1, 1, 1, 1, tf.util.sizeFromShape(a)], a: lastAxis, b: noAxes } }
  }
  const shape = tf.broadcast_util.assertAndGetBroadcastShape(a, b)
  return { shape, axes: joinAxes(shape, broadcastStrides(shape, a), broadcastStrides(shape, b)) }
}

function binaryKernel(kernelName: string, kind: number, isComparison: boolean): BackendKernel {
  return (backend: KernelBackend, inputs: BinaryInputs) => {
    const { a, b } = inputs
    const type = types[a.dtype]
    const isServed =
      type !== undefined &&
      a.dtype === b.dtype &&
      (isComparison || type === 0 || (type === 1 && !floatOnly.has(kernelName)))
    const { shape, axes } = broadcast(a.shape, b.shape)
    if (!isServed || !axes) return backend.cpuKernel(kernelName, inputs)
    const y = backend.output(shape, isComparison ? 'bool' : (a.dtype as 'float32' | 'int32'))
    const { address, library } = backend
    if (address(y) === 0) return y
    library.kernels.binary(address(a), address(b), address(y), kind, type, ...axes.sizes, ...axes.a, ...axes.b)
    return y
  }
}

function unaryKernel(kernelName: string, kind: number): BackendKernel {
  return (backend: KernelBackend, inputs: UnaryInputs, attributes: { alpha?: number }) => {
    const { x } = inputs
    if (x.dtype !== 'float32') return backend.cpuKernel(kernelName, inputs, attributes)
    const y = backend.output(x.shape)
    const size = tf.util.sizeFromShape(x.shape)
    backend.library.kernels.unary(backend.address(x), backend.address(y), size, kind, attributes.alpha ?? 0)
    return y
  }
}

/** A tensor of one value. */
function fill(backend: KernelBackend, shape: number[], dtype: tf.DataType, value: number): tf.TensorInfo {
  if (dtype !== 'float32' && dtype !== 'int32' && dtype !== 'bool') {
    return backend.cpuKernel('Fill', {}, { shape, value, dtype })
  }
  const y = backend.output(shape, dtype)
  if (dtype === 'float32') backend.library.kernels.fill(backend.address(y), tf.util.sizeFromShape(shape), value)
  else backend.values(y).fill(value)
  return y
}

export const elementwiseKernels: Record<string, BackendKernel> = {
  ...Object.fromEntries(arithmetic.map((name, kind) => [name, binaryKernel(name, kind, false)])),
  ...Object.fromEntries(comparisons.map((name, kind) => [name, binaryKernel(name, kind + arithmetic.length, true)])),
  ...Object.fromEntries(functions.map((name, kind) => [name, unaryKernel(name, kind)])),

  AddN(backend, inputs: tf.TensorInfo[]) {
    const [first, second, ...rest] = inputs as [tf.TensorInfo, tf.TensorInfo, ...tf.TensorInfo[]]
    if (inputs.length < 2 || inputs.some(({ dtype }) => dtype !== 'float32')) return backend.cpuKernel('AddN', inputs)
    const sum = backend.kernel('Add', { a: first, b: second })
    const size = tf.util.sizeFromShape(sum.shape)
    for (const term of rest) backend.library.kernels.accumulate(backend.address(sum), backend.address(term), size)
    return sum
  },

  /** Unlike the cpu backend's, which gives int32 values another name, since the kernels read floats from float tensors. */
  Cast(backend, inputs: UnaryInputs, attributes: { dtype: tf.DataType }) {
    const { x } = inputs
    const { dtype } = attributes
    if (x.dtype === dtype) return backend.alias(x, x.shape)
    const [from, to] = [types[x.dtype], types[dtype]]
    if (from === undefined || to === undefined) return backend.cpuKernel('Cast', inputs, attributes)
    const y = backend.output(x.shape, dtype as 'float32' | 'int32' | 'bool')
    const size = tf.util.sizeFromShape(x.shape)
    backend.library.kernels.convert(backend.address(x), backend.address(y), size, from, to)
    return y
  },

  ClipByValue(backend, inputs: UnaryInputs, attributes: { clipValueMin: number; clipValueMax: number }) {
    const { x } = inputs
    if (x.dtype !== 'float32') return backend.cpuKernel('ClipByValue', inputs, attributes)
    const y = backend.output(x.shape)
    const { clipValueMin: low, clipValueMax: high } = attributes
    backend.library.kernels.clip(backend.address(x), backend.address(y), tf.util.sizeFromShape(x.shape), low, high)
    return y
  },

  Fill(backend, _inputs, { shape, value, dtype }: { shape: number[]; value: number; dtype?: tf.DataType }) {
    return fill(backend, shape, dtype ?? tf.util.inferDtype(value), value)
  },
  OnesLike(backend, inputs: UnaryInputs) {
    const { dtype, shape } = inputs.x
    if (types[dtype] === undefined) return backend.cpuKernel('OnesLike', inputs)
    return fill(backend, shape, dtype, 1)
  },
  ZerosLike(backend, inputs: UnaryInputs) {
    const { dtype, shape } = inputs.x
    if (types[dtype] === undefined) return backend.cpuKernel('ZerosLike', inputs)
    return fill(backend, shape, dtype, 0)
  },

  Select(backend, inputs: { condition: tf.TensorInfo; t: tf.TensorInfo; e: tf.TensorInfo }) {
    const { condition, t, e } = inputs
    if (t.dtype !== e.dtype || condition.dtype !== 'bool' || (t.dtype !== 'float32' && t.dtype !== 'int32')) {
      return backend.cpuKernel('Select', inputs)
    }
    const y = backend.output(t.shape, t.dtype)
    const size = tf.util.sizeFromShape(t.shape)
    const span = size / Math.max(1, tf.util.sizeFromShape(condition.shape))
    const { address, library } = backend
    // One condition for each row of the first axis, or for each element.
    library.kernels.select(address(condition), address(t), address(e), address(y), size, span)
    return y
  },
}
