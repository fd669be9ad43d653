import {
  type AttentionOptions,
  adamW,
  attention,
  attentionWithWeights,
  crossEntropy,
  gelu,
  layerNorm,
  rmsNorm,
  rotary,
  sgd,
  silu,
  tf,
} from '@heed/tensor-backend'

/** One node of a test; attributes that were left out take ONNX's defaults. */
export interface OnnxNode {
  op: string
  attrs: Record<string, number | string | undefined>
  inputs: string[]
  outputs: string[]
}

/** How an operator of ONNX is said here: inputs in the operator's order -> outputs by name, or by place. */
type Operator = (inputs: Array<tf.Tensor | undefined>, attrs: OnnxNode['attrs']) => Record<string, tf.Tensor>

/** [batch, heads, seqLen, dim], or [batch, seqLen, heads · dim] -> [batch, seqLen, heads, dim]. */
function headsLast(x: tf.Tensor, heads: unknown): tf.Tensor {
  const [batch, seqLen] = x.shape as [number, number]
  return x.rank === 4 ? tf.transpose(x, [0, 2, 1, 3]) : x.reshape([batch, seqLen, heads as number, -1])
}

function likeInput(y: tf.Tensor, input: tf.Tensor): tf.Tensor {
  const [batch, seqLen] = y.shape as [number, number]
  return input.rank === 4 ? tf.transpose(y, [0, 2, 1, 3]) : y.reshape([batch, seqLen, -1])
}

/** A mask of ONNX, bool or added, of 2 to 4 axes, as a bias of [batch | 1, heads | 1, seqLen, keyLen]. */
function biasOf(mask: tf.Tensor, keyLen: number): tf.Tensor {
  const added = mask.dtype === 'bool' ? tf.where(mask, 0, Number.NEGATIVE_INFINITY) : mask
  const wide = added.reshape([...Array(4 - mask.rank).fill(1), ...mask.shape])
  // Keys that a mask is too short for are hidden.
  return tf.pad(
    wide,
    [
      [0, 0],
      [0, 0],
      [0, 0],
      [0, keyLen - wide.shape[3]!],
    ],
    Number.NEGATIVE_INFINITY,
  )
}

/** The top-left triangle: query i sees keys up to i + past. Ours is aligned to the end, which differs without a cache. */
function causalBias(seqLen: number, keyLen: number, past: number): tf.Tensor {
  const query = tf.range(past, past + seqLen, 1, 'int32').reshape([1, 1, seqLen, 1])
  const key = tf.range(0, keyLen, 1, 'int32').reshape([1, 1, 1, keyLen])
  return tf.where(tf.lessEqual(key, query), 0, Number.NEGATIVE_INFINITY)
}

const onnxAttention: Operator = ([Q, K, V, mask, pastKey, pastValue, validLen], attrs) => {
  const q = headsLast(Q!, attrs.q_num_heads)
  const join = (past: tf.Tensor | undefined, x: tf.Tensor): tf.Tensor =>
    past
      ? tf.concat([headsLast(past, undefined), headsLast(x, attrs.kv_num_heads)], 1)
      : headsLast(x, attrs.kv_num_heads)
  const [k, v] = [join(pastKey, K!), join(pastValue, V!)]
  const [seqLen, keyLen, past] = [q.shape[1]!, k.shape[1]!, pastKey?.shape[2] ?? 0]
  const isCausal = attrs.is_causal === 1
  const isAligned = past + seqLen === keyLen
  const biases = [
    ...(mask ? [biasOf(mask, keyLen)] : []),
    ...(isCausal && !isAligned ? [causalBias(seqLen, keyLen, past)] : []),
  ]
  const sum = biases.length > 0 ? biases.reduce((a, b) => tf.add(a, b)) : undefined
  const bias = sum && tf.broadcastTo(sum, [sum.shape[0]!, sum.shape[1]!, seqLen, keyLen])
  const keys = tf.range(0, keyLen, 1, 'int32').reshape([1, keyLen])
  const options: AttentionOptions = {
    isCausal: isCausal && isAligned,
    ...(attrs.scale !== undefined && { scale: attrs.scale as number }),
    ...(attrs.softcap && { softcap: attrs.softcap as number }),
    ...(bias && { bias }),
    ...(validLen && { keyPaddingMask: tf.less(keys, validLen.reshape([-1, 1])).toInt() }),
  }
  const present = { present_key: tf.transpose(k, [0, 2, 1, 3]), present_value: tf.transpose(v, [0, 2, 1, 3]) }
  const y = likeInput(attention(q, k, v, options), Q!)
  if (attrs.qk_matmul_output_mode !== 3) return { Y: y, ...present }
  return { Y: y, ...present, qk_matmul_output: attentionWithWeights(q, k, v, options).weights }
}

/** x as rows over the axes from `axis` on. */
function rowsFrom(x: tf.Tensor, axis: number): tf.Tensor {
  return x.reshape([-1, tf.util.sizeFromShape(x.shape.slice(axis < 0 ? axis + x.rank : axis))])
}

/** [N, C, ...] -> [..., C] */
function classesLast(x: tf.Tensor): tf.Tensor {
  return tf.transpose(x, [0, ...Array.from({ length: x.rank - 2 }, (_, i) => i + 2), 1])
}

const axisOf = ({ axis }: OnnxNode['attrs'], otherwise: number): number => (axis as number | undefined) ?? otherwise

const pointwise =
  (f: (x: tf.Tensor) => tf.Tensor): Operator =>
  ([x]) => ({ y: f(x!) })

export const operators: Record<string, Operator> = {
  Attention: onnxAttention,
  FlexAttention: onnxAttention,
  RMSNormalization: ([x, w], { axis = -1, epsilon = 1e-5 }) => ({
    y: rmsNorm(rowsFrom(x!, axis as number), w!.flatten(), epsilon as number).reshape(x!.shape),
  }),
  LayerNormalization: ([x, w, b], { axis = -1, epsilon = 1e-5 }) => ({
    y: layerNorm(rowsFrom(x!, axis as number), w!.flatten(), b?.flatten(), epsilon as number).reshape(x!.shape),
  }),
  RotaryEmbedding: ([x, cos, sin, positions], { interleaved, num_heads }) => {
    const table = (cache: tf.Tensor): tf.Tensor =>
      (positions ? tf.gather(cache, positions.toInt()) : cache).reshape([-1, cache.shape.at(-1)!])
    const options = { isInterleaved: interleaved === 1 }
    return { y: likeInput(rotary(headsLast(x!, num_heads), table(cos!), table(sin!), options), x!) }
  },
  SoftmaxCrossEntropyLoss: ([x, y], { ignore_index = -100, reduction = 'mean' }) => ({
    z: crossEntropy(classesLast(x!), y!.toInt(), {
      ignoreIndex: ignore_index as number,
      reduction: reduction as 'mean' | 'sum',
    }),
    log_prob: tf.transpose(tf.logSoftmax(classesLast(x!)), [
      0,
      x!.rank - 1,
      ...Array.from({ length: x!.rank - 2 }, (_, i) => i + 1),
    ]),
  }),
  Adam: ([rate, step, x, g, v, h], { alpha, beta, epsilon, norm_coefficient }) => {
    const [value, mean, meanSquare] = [x!, v!, h!].map(each => tf.variable(each)) as [
      tf.Variable,
      tf.Variable,
      tf.Variable,
    ]
    const gradient = tf.add(g!, tf.mul(x!, norm_coefficient as number))
    const learningRate = rate!.dataSync()[0]!
    // ONNX counts steps from 0 and corrects from the first on: with T = 0 nothing is corrected, as far on as can be.
    const at = step!.dataSync()[0]! || 1e6
    const settings = { learningRate, beta1: alpha as number, beta2: beta as number, eps: epsilon as number, step: at }
    adamW([{ value, gradient, mean, meanSquare, weightDecay: 0 }], settings)
    const copies = [value, mean, meanSquare].map((each, i) => [`${i}`, each.clone()])
    tf.dispose([value, mean, meanSquare])
    return Object.fromEntries(copies)
  },
  Momentum: ([rate, step, ...tensors], { alpha, beta, norm_coefficient, mode }) => {
    // The first step takes the gradient whole, later ones beta of it; `sgd` always takes it whole.
    if (step!.dataSync()[0]! > 0 && beta !== 1) throw new Error('a damped step of momentum')
    const count = tensors.length / 3
    const parameters = Array.from({ length: count }, (_, i) => ({
      value: tf.variable(tensors[i]!),
      gradient: tensors[count + i]!,
      velocity: tf.variable(tensors[2 * count + i]!),
      weightDecay: norm_coefficient as number,
    }))
    const settings = { learningRate: rate!.dataSync()[0]!, momentum: alpha as number, isNesterov: mode === 'nesterov' }
    sgd(parameters, settings)
    const results = [...parameters.map(({ value }) => value), ...parameters.map(({ velocity }) => velocity)]
    const copies = results.map((each, i) => [`${i}`, each.clone()])
    tf.dispose(results)
    return Object.fromEntries(copies)
  },
  Gelu: ([x], { approximate }) => ({ y: gelu(x!, approximate === 'tanh' ? 'tanh' : 'none') }),
  Swish: pointwise(silu),
  Erf: pointwise(tf.erf),
  Relu: pointwise(tf.relu),
  Sigmoid: pointwise(tf.sigmoid),
  Softplus: pointwise(tf.softplus),
  Tanh: pointwise(tf.tanh),
  Softmax: ([x], attrs) => ({ y: alongAxis(x!, axisOf(attrs, -1), tf.softmax) }),
  LogSoftmax: ([x], attrs) => ({ y: alongAxis(x!, axisOf(attrs, -1), tf.logSoftmax) }),
  MatMul: ([a, b]) => ({ y: matMul(a!, b!) }),
  Gemm: ([a, b, c], { alpha = 1, beta = 1, transA, transB }) => {
    const product = tf.mul(tf.matMul(a!, b!, transA === 1, transB === 1), alpha)
    return { y: c ? tf.add(product, tf.mul(c, beta)) : product }
  },
  Einsum: (inputs, { equation }) => ({ y: tf.einsum(equation as string, ...(inputs as tf.Tensor[])) }),
  CumSum: ([x, axis], { exclusive, reverse }) => ({
    y: tf.cumsum(x!, (axis!.dataSync()[0]! + x!.rank) % x!.rank, exclusive === 1, reverse === 1),
  }),
  Gather: ([x, indices], attrs) => ({ y: tf.gather(x!, indices!.toInt(), axisOf(attrs, 0)) }),
  GatherElements: ([x, indices], attrs) => ({ y: gatherElements(x!, indices!, axisOf(attrs, 0)) }),
  GatherND: ([x, indices]) => ({ y: tf.gatherND(x!, indices!.toInt()) }),
  OneHot: ([indices, depth, values], attrs) => {
    const size = depth!.dataSync()[0]!
    const [off, on] = values!.dataSync() as unknown as [number, number]
    const hot = tf.oneHot(tf.mod(indices!, size).toInt(), size, on, off)
    const axis = axisOf(attrs, -1) < 0 ? axisOf(attrs, -1) + hot.rank : axisOf(attrs, -1)
    const order = Array.from({ length: hot.rank - 1 }, (_, i) => i)
    return { y: tf.transpose(hot, [...order.slice(0, axis), hot.rank - 1, ...order.slice(axis)]) }
  },
  TopK: ([x, k], { largest = 1, ...attrs }) => {
    const sign = largest === 1 ? 1 : -1
    const top = (rows: tf.Tensor): { values: tf.Tensor; indices: tf.Tensor } => tf.topk(rows, k!.dataSync()[0]!)
    const pick = (part: 'values' | 'indices') => alongAxis(tf.mul(x!, sign), axisOf(attrs, -1), rows => top(rows)[part])
    return { values: tf.mul(pick('values'), sign), indices: pick('indices') }
  },
}

/** f over the last axis, applied to another. */
function alongAxis(x: tf.Tensor, axis: number, f: (x: tf.Tensor) => tf.Tensor): tf.Tensor {
  const at = axis < 0 ? axis + x.rank : axis
  const order = Array.from({ length: x.rank }, (_, i) => i)
  const swapped = order.map(i => (i === at ? x.rank - 1 : i === x.rank - 1 ? at : i))
  return tf.transpose(f(tf.transpose(x, swapped)), swapped)
}

/** numpy's matmul of vectors and matrices. */
function matMul(a: tf.Tensor, b: tf.Tensor): tf.Tensor {
  const left = a.rank === 1 ? a.expandDims(0) : a
  const right = b.rank === 1 ? b.expandDims(1) : b
  let y = tf.matMul(left, right)
  if (b.rank === 1) y = tf.squeeze(y, [y.rank - 1])
  return a.rank === 1 ? tf.squeeze(y, [y.rank - (b.rank === 1 ? 1 : 2)]) : y
}

/** y[i, j] = x[i, indices[i, j]] for matrices, and along the first axis likewise. */
function gatherElements(x: tf.Tensor, indices: tf.Tensor, axis: number): tf.Tensor {
  const [rows, cols] = indices.shape as [number, number]
  const size = x.shape[axis]!
  const picked = tf.mod(tf.add(indices, size), size).toInt()
  const own = tf.range(0, axis === 0 ? cols : rows, 1, 'int32')
  const other = tf.broadcastTo(axis === 0 ? own.reshape([1, cols]) : own.reshape([rows, 1]), [rows, cols]).toInt()
  return tf.gatherND(x, tf.stack(axis === 0 ? [picked, other] : [other, picked], -1))
}
