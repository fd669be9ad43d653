import { tf } from '../../tf.ts'
import { type BackendKernel, isNumeric, type KernelBackend } from '../kernel-backend.ts'
import { contiguousStrides, joinAxes, sizesAround } from './axes.ts'

interface Inputs {
  x: tf.TensorInfo
}

/** How an array is walked: from element `at`, with a stride for each axis. */
interface Walk {
  tensor: tf.TensorInfo
  at: number
  strides: number[]
}

/** Copies an array of this shape; false, with nothing done, when its axes are too many for the kernel. */
function copy(backend: KernelBackend, shape: number[], from: Walk, to: Walk): boolean {
  if (shape.includes(0)) return true
  const axes = joinAxes(shape, from.strides, to.strides)
  if (!axes) return false
  const bytes = from.tensor.dtype === 'bool' ? 1 : 4
  backend.library.kernels.copy(
    backend.address(from.tensor) + from.at * bytes,
    backend.address(to.tensor) + to.at * bytes,
    bytes,
    ...axes.sizes,
    ...axes.a,
    ...axes.b,
  )
  return true
}

/** A new tensor: element (i, j, ...) is x at `at` + Σ index · stride. Undefined when the kernel cannot make it. */
function pick(
  backend: KernelBackend,
  x: tf.TensorInfo,
  shape: number[],
  at: number,
  strides: number[],
): tf.TensorInfo | undefined {
  if (!isNumeric(x.dtype)) return undefined
  const y = backend.output(shape, x.dtype)
  if (copy(backend, shape, { tensor: x, at, strides }, { tensor: y, at: 0, strides: contiguousStrides(shape) }))
    return y
  backend.disposeIntermediateTensorInfo(y)
  return undefined
}

/** Σ begin · stride: where a slice starts. */
function offset(begin: number[], strides: number[]): number {
  return begin.reduce((sum, index, axis) => sum + index * strides[axis]!, 0)
}

/** Joins tensors along an axis; those without elements are left out. */
function concat(backend: KernelBackend, inputs: tf.TensorInfo[], axis: number): tf.TensorInfo {
  const shapes = inputs.map(({ shape }) => shape)
  tf.backend_util.assertParamsConsistent(shapes, axis)
  const shape = tf.backend_util.computeOutShape(shapes, axis)
  const parts = inputs.filter(tensor => !tensor.shape.includes(0))
  if (parts.length === 1) return backend.alias(parts[0]!, shape)
  const dtype = inputs[0]!.dtype
  if (!isNumeric(dtype) || parts.some(part => part.dtype !== dtype)) {
    return backend.cpuKernel('Concat', inputs, { axis })
  }
  const y = backend.output(shape, dtype)
  const [, inner] = sizesAround(shape, axis)
  const rowSize = shape[axis]! * inner
  let at = 0
  for (const part of parts) {
    const [rows] = sizesAround(part.shape, axis)
    const cols = part.shape[axis]! * inner
    copy(backend, [rows, cols], { tensor: part, at: 0, strides: [cols, 1] }, { tensor: y, at, strides: [rowSize, 1] })
    at += cols
  }
  return y
}

/** Consecutive pieces of x along an axis. */
function split(backend: KernelBackend, x: tf.TensorInfo, axis: number, sizes: number[]): tf.TensorInfo[] {
  let at = 0
  return sizes.map(size => {
    const begin = x.shape.map((_, i) => (i === axis ? at : 0))
    at += size
    return backend.kernel('Slice', { x }, { begin, size: x.shape.with(axis, size) })
  })
}

export const layoutKernels: Record<string, BackendKernel> = {
  Transpose(backend, inputs: Inputs, attributes: { perm: number[] }) {
    const { x } = inputs
    const { perm } = attributes
    const strides = contiguousStrides(x.shape)
    const shape = perm.map(axis => x.shape[axis]!)
    const moved = perm.map(axis => strides[axis]!)
    return pick(backend, x, shape, 0, moved) ?? backend.cpuKernel('Transpose', inputs, attributes)
  },

  Slice(backend, inputs: Inputs, attributes: { begin: number | number[]; size: number | number[] }) {
    const { x } = inputs
    const [begin, size] = tf.slice_util.parseSliceParams(x, attributes.begin, attributes.size)
    tf.slice_util.assertParamsValid(x as tf.Tensor, begin!, size!)
    const strides = contiguousStrides(x.shape)
    const slice = pick(backend, x, size!, offset(begin!, strides), strides)
    return slice ?? backend.cpuKernel('Slice', inputs, attributes)
  },

  StridedSlice(backend, inputs: Inputs, attributes: StridedSliceAttributes) {
    const { x } = inputs
    const { begin, end, strides, beginMask, endMask, ellipsisMask, newAxisMask, shrinkAxisMask } = attributes
    const info = tf.slice_util.sliceInfo(
      ...([x.shape, begin, end, strides, beginMask, endMask, ellipsisMask, newAxisMask, shrinkAxisMask] as const),
    )
    if (info.isIdentity || info.sliceDim0 || info.isSimpleSlice) {
      return backend.cpuKernel('StridedSlice', inputs, attributes)
    }
    const own = contiguousStrides(x.shape)
    const stepped = own.map((stride, axis) => stride * info.strides[axis]!)
    const slice = pick(backend, x, info.finalShapeSparse, offset(info.begin, own), stepped)
    return slice ? { ...slice, shape: info.finalShape } : backend.cpuKernel('StridedSlice', inputs, attributes)
  },

  Reverse(backend, inputs: Inputs, attributes: { dims: number | number[] }) {
    const { x } = inputs
    const dims = tf.util.parseAxisParam(attributes.dims, x.shape)
    const own = contiguousStrides(x.shape)
    const last = x.shape.map((size, axis) => (dims.includes(axis) ? Math.max(size - 1, 0) : 0))
    const strides = own.map((stride, axis) => (dims.includes(axis) ? -stride : stride))
    return pick(backend, x, x.shape, offset(last, own), strides) ?? backend.cpuKernel('Reverse', inputs, attributes)
  },

  Tile(backend, inputs: Inputs, attributes: { reps: number[] }) {
    const { x } = inputs
    const { reps } = attributes
    const strides = contiguousStrides(x.shape)
    const repeated = x.shape.flatMap((size, axis) => [reps[axis]!, size])
    const walk = strides.flatMap(stride => [0, stride])
    const tiled = pick(backend, x, repeated, 0, walk)
    const shape = x.shape.map((size, axis) => size * reps[axis]!)
    return tiled ? { ...tiled, shape } : backend.cpuKernel('Tile', inputs, attributes)
  },

  PadV2(backend, inputs: Inputs, attributes: { paddings: Array<[number, number]>; constantValue: number }) {
    const { x } = inputs
    const { paddings, constantValue } = attributes
    if (!isNumeric(x.dtype)) return backend.cpuKernel('PadV2', inputs, attributes)
    const shape = x.shape.map((size, axis) => paddings[axis]![0] + size + paddings[axis]![1])
    const y = backend.kernel('Fill', {}, { shape, value: constantValue, dtype: x.dtype })
    const strides = contiguousStrides(shape)
    const at = offset(
      paddings.map(([before]) => before),
      strides,
    )
    const from = { tensor: x, at: 0, strides: contiguousStrides(x.shape) }
    if (copy(backend, x.shape, from, { tensor: y, at, strides })) return y
    backend.disposeIntermediateTensorInfo(y)
    return backend.cpuKernel('PadV2', inputs, attributes)
  },

  Concat(backend, inputs: tf.TensorInfo[], { axis }: { axis: number }) {
    return concat(backend, inputs, tf.util.parseAxisParam(axis, inputs[0]!.shape)[0]!)
  },

  Pack(backend, inputs: tf.TensorInfo[], { axis }: { axis: number }) {
    const [first] = inputs as [tf.TensorInfo]
    for (const { shape, dtype } of inputs) {
      tf.util.assertShapesMatch(first.shape, shape, 'All tensors passed to stack must have matching shapes')
      tf.util.assert(first.dtype === dtype, () => 'All tensors passed to stack must have matching dtypes')
    }
    const at = axis < 0 ? axis + first.shape.length + 1 : axis
    const shape = first.shape.toSpliced(at, 0, 1)
    const expanded = inputs.map(tensor => ({ ...tensor, shape }))
    return concat(backend, expanded, at)
  },

  SplitV(backend, inputs: Inputs, attributes: { numOrSizeSplits: number | number[]; axis: number }) {
    const { x } = inputs
    const axis = tf.util.parseAxisParam(attributes.axis, x.shape)[0]!
    return split(backend, x, axis, tf.backend_util.prepareSplitSize(x as tf.Tensor, attributes.numOrSizeSplits, axis))
  },

  Unpack(backend, { value }: { value: tf.TensorInfo }, attributes: { axis: number }) {
    const axis = attributes.axis < 0 ? attributes.axis + value.shape.length : attributes.axis
    const shape = value.shape.toSpliced(axis, 1)
    const pieces = split(backend, value, axis, new Array<number>(value.shape[axis]!).fill(1))
    return pieces.map(piece => ({ ...piece, shape }))
  },

  GatherV2(
    backend,
    inputs: { x: tf.TensorInfo; indices: tf.TensorInfo },
    attributes: { axis: number; batchDims?: number },
  ) {
    const { x, indices } = inputs
    const is4Bytes = x.dtype === 'float32' || x.dtype === 'int32'
    if (!is4Bytes || indices.dtype !== 'int32' || attributes.batchDims) {
      return backend.cpuKernel('GatherV2', inputs, attributes)
    }
    const axis = tf.util.parseAxisParam(attributes.axis, x.shape)[0]!
    const size = x.shape[axis]!
    for (const index of backend.values(indices)) {
      tf.util.assert(index >= 0 && index < size, () => `GatherV2: the index value ${index} is not in [0, ${size - 1}]`)
    }
    const shape = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)]
    const y = backend.output(shape, x.dtype as 'float32' | 'int32')
    if (shape.includes(0)) return y
    const [outer, inner] = sizesAround(x.shape, axis)
    const { address, library } = backend
    library.kernels.gather(
      ...([address(x), address(indices), address(y)] as const),
      ...([outer, size, tf.util.sizeFromShape(indices.shape), inner] as const),
    )
    return y
  },

  UnsortedSegmentSum(
    backend,
    inputs: { x: tf.TensorInfo; segmentIds: tf.TensorInfo },
    attributes: { numSegments: number },
  ) {
    const { x, segmentIds } = inputs
    const { numSegments } = attributes
    if (x.dtype !== 'float32' || segmentIds.dtype !== 'int32' || segmentIds.shape.length !== 1) {
      return backend.cpuKernel('UnsortedSegmentSum', inputs, attributes)
    }
    const y = backend.output([numSegments, ...x.shape.slice(1)])
    const { address, library } = backend
    if (address(y) === 0) return y
    const [, inner] = sizesAround(x.shape, 0)
    library.kernels.segmentSum(address(x), address(segmentIds), address(y), x.shape[0]!, numSegments, inner)
    return y
  },

  OneHot(
    backend,
    inputs: { indices: tf.TensorInfo },
    attributes: { dtype: tf.DataType; depth: number; onValue: number; offValue: number },
  ) {
    const { indices } = inputs
    const { dtype, depth, onValue, offValue } = attributes
    if (!isNumeric(dtype) || !isNumeric(indices.dtype)) return backend.cpuKernel('OneHot', inputs, attributes)
    const y = backend.kernel('Fill', {}, { shape: [...indices.shape, depth], value: offValue, dtype })
    const values = backend.values(y)
    for (const [row, index] of backend.values(indices).entries()) {
      if (index >= 0 && index < depth) values[row * depth + index] = onValue
    }
    return y
  },
}

interface StridedSliceAttributes {
  begin: number[]
  end: number[]
  strides: number[]
  beginMask: number
  endMask: number
  ellipsisMask: number
  newAxisMask: number
  shrinkAxisMask: number
}
