import { tf } from '../../tf.ts'
import type { BackendKernel, KernelBackend } from '../kernel-backend.ts'

interface Inputs {
  x: tf.TensorInfo
}

/** tfjs names the axes of max and min in its own way. */
interface ReduceAttributes {
  axis?: number | number[]
  reductionIndices?: number | number[]
  keepDims?: boolean
}

/** `Reduction` in kernels/reduce.cc. */
const reductions = ['Sum', 'Mean', 'Max', 'Min', 'Prod']

/** x with the axes to reduce next to each other, as [outer, count, inner], and the shape of the result. */
interface Layout {
  x: tf.TensorInfo
  outer: number
  count: number
  inner: number
  shape: number[]
  dispose(): void
}

function layOut(backend: KernelBackend, x: tf.TensorInfo, axes: number[]): Layout {
  const { shape } = x
  const kept = shape.filter((_, axis) => !axes.includes(axis))
  const count = tf.util.sizeFromShape(axes.map(axis => shape[axis]!))
  const first = axes.length === 0 ? shape.length : Math.min(...axes)
  const end = axes.length === 0 ? shape.length : Math.max(...axes) + 1
  if (end - first === axes.length) {
    const outer = tf.util.sizeFromShape(shape.slice(0, first))
    const inner = tf.util.sizeFromShape(shape.slice(end))
    return { x, outer, count, inner, shape: kept, dispose: () => {} }
  }
  const perm = [...shape.keys()].filter(axis => !axes.includes(axis)).concat(axes)
  const moved = backend.kernel('Transpose', { x }, { perm })
  const dispose = (): void => backend.disposeIntermediateTensorInfo(moved)
  return { x: moved, outer: tf.util.sizeFromShape(kept), count, inner: 1, shape: kept, dispose }
}

function reduceKernel(kernelName: string, kind: number): BackendKernel {
  return (backend: KernelBackend, inputs: Inputs, attributes: ReduceAttributes) => {
    const { x } = inputs
    if (x.dtype !== 'float32') return backend.cpuKernel(kernelName, inputs, attributes)
    const axes = tf.util.parseAxisParam((attributes.axis ?? attributes.reductionIndices)!, x.shape)
    const layout = layOut(backend, x, axes)
    const { outer, count, inner, shape } = layout
    const y = backend.output(attributes.keepDims ? tf.backend_util.expandShapeToKeepDim(shape, axes) : shape)
    const { address, library } = backend
    if (count === 0 && kernelName === 'Mean') library.kernels.fill(address(y), outer * inner, 0)
    else library.kernels.reduce(address(layout.x), address(y), outer, count, inner, kind)
    layout.dispose()
    return y
  }
}

/** Sums of int32 are int32, those of bool the number of true. */
function sumOfWholes(backend: KernelBackend, inputs: Inputs, attributes: ReduceAttributes): tf.TensorInfo {
  const { x } = inputs
  if (x.dtype !== 'int32' && x.dtype !== 'bool') return backend.cpuKernel('Sum', inputs, attributes)
  const whole = backend.kernel('Cast', { x }, { dtype: 'int32' })
  const axes = tf.util.parseAxisParam(attributes.axis!, x.shape)
  const layout = layOut(backend, whole, axes)
  const { outer, count, inner, shape } = layout
  const y = backend.output(attributes.keepDims ? tf.backend_util.expandShapeToKeepDim(shape, axes) : shape, 'int32')
  backend.library.kernels.reduceInt(backend.address(layout.x), backend.address(y), outer, count, inner)
  layout.dispose()
  backend.disposeIntermediateTensorInfo(whole)
  return y
}

function argKernel(kernelName: string, sign: 1 | -1): BackendKernel {
  return (backend: KernelBackend, inputs: Inputs, attributes: { axis: number }) => {
    const { x } = inputs
    const axes = tf.util.parseAxisParam(attributes.axis, x.shape).slice(0, 1)
    const size = x.shape[axes[0]!] ?? 1
    if (x.dtype !== 'float32' || size === 0) return backend.cpuKernel(kernelName, inputs, attributes)
    const isLast = tf.util.sizeFromShape(x.shape.slice(axes[0]! + 1)) === 1
    const perm = [...x.shape.keys()].filter(axis => axis !== axes[0]).concat(axes)
    const moved = isLast ? x : backend.kernel('Transpose', { x }, { perm })
    const shape = x.shape.filter((_, axis) => axis !== axes[0])
    const y = backend.output(shape, 'int32')
    const rows = tf.util.sizeFromShape(shape)
    backend.library.kernels.argExtreme(backend.address(moved), backend.address(y), rows, size, sign)
    if (!isLast) backend.disposeIntermediateTensorInfo(moved)
    return y
  }
}

const floatReductions = Object.fromEntries(reductions.map((name, kind) => [name, reduceKernel(name, kind)]))

export const reduceKernels: Record<string, BackendKernel> = {
  ...floatReductions,
  Sum(backend, inputs: Inputs, attributes: ReduceAttributes) {
    if (inputs.x.dtype !== 'float32') return sumOfWholes(backend, inputs, attributes)
    return floatReductions.Sum!(backend, inputs as never, attributes as never)
  },
  ArgMax: argKernel('ArgMax', 1),
  ArgMin: argKernel('ArgMin', -1),

  Softmax(backend, inputs: { logits: tf.TensorInfo }, attributes: { dim: number }) {
    const { logits } = inputs
    const cols = logits.shape.at(-1) ?? 1
    const isLast = attributes.dim === -1 || attributes.dim === logits.shape.length - 1
    if (logits.dtype !== 'float32' || !isLast || cols === 0) return backend.cpuKernel('Softmax', inputs, attributes)
    const y = backend.output(logits.shape)
    const rows = tf.util.sizeFromShape(logits.shape) / cols
    backend.library.kernels.softmax(backend.address(logits), backend.address(y), rows, cols)
    return y
  },
}
