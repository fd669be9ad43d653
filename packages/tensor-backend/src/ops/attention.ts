import { HeedError } from '../errors.ts'
import { checkOptionNames } from '../option-names.ts'
import { tf } from '../tf.ts'
import { attentionAttributes } from './attention-kernels.ts'
import { checkArgument, checkFloats, checkRank, checkShape } from './checks.ts'
import { checkRate, dropoutMask } from './dropout.ts'
import { differentiable, hasKernel, once, runKernel } from './fused.ts'

export interface AttentionOptions {
  /** Query i sees keys j <= i + keyLen - seqLen: the queries are the last seqLen positions. */
  isCausal?: boolean
  /** Query i sees only the last `slidingWindow` keys up to its own position; needs `isCausal`. */
  slidingWindow?: number
  /** Factor of the scores before softmax; 1 / sqrt(headDim) by default. */
  scale?: number
  /** scores = softcap · tanh(scores / softcap), as in Gemma 2. */
  softcap?: number
  /** Added to the scores, [batch | 1, numHeads | 1, seqLen | 1, keyLen]; -Infinity hides a key. ALiBi and relative bias come in here. */
  bias?: tf.Tensor
  /** int32 [batch, keyLen]: 1 where a key counts, 0 where it is padding. */
  keyPaddingMask?: tf.Tensor
  /** Dropout of the attention weights, with the seed of its mask. */
  dropout?: { rate: number; seed: number }
  /** How many rows of k and v hold keys, when they are caches with room to grow; all by default. */
  keyLen?: number
}

/**
 * softmax(scale · q kᵀ + bias) v, per head. Heads are grouped: query head h reads key head h / (numHeads / numKeyValueHeads).
 * q: [batch, seqLen, numHeads, headDim]; k: [batch, keyLen, numKeyValueHeads, headDim];
 * v: [batch, keyLen, numKeyValueHeads, valueDim] -> [batch, seqLen, numHeads, valueDim].
 * A query that sees no key gives 0. Vaswani et al. 2017, eq. 1; same numbers as PyTorch `scaled_dot_product_attention`.
 * Throws HEED_SHAPE_MISMATCH, HEED_DTYPE_UNSUPPORTED, HEED_ARGUMENT_INVALID.
 */
export function attention(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, options: AttentionOptions = {}): tf.Tensor {
  checkAttention(q, k, v, options)
  if (!hasKernel('HeedAttention')) return tf.tidy(() => composedAttention(q, k, v, options).output)
  const { bias, keyPaddingMask } = options
  const attributes = attentionAttributes(q, k, options)
  return differentiable(
    bias ? [q, k, v, bias] : [q, k, v],
    save => {
      const inputs = [q, k, v, ...(bias ? [bias] : []), ...(keyPaddingMask ? [keyPaddingMask.toInt()] : [])]
      const [out, lse] = runKernel('HeedAttention', inputs, attributes)
      if (lse) save([out!, lse, ...inputs])
      return out!
    },
    (dy, saved) => {
      const gradients = once(() => runKernel('HeedAttentionGradient', [dy, ...saved], attributes))
      const ofInputs = [0, 1, 2].map(i => () => gradients()[i]!)
      if (!bias) return ofInputs
      const ofBias = (): tf.Tensor =>
        tf.tidy(() => {
          const full = runKernel('HeedAttentionBiasGradient', [dy, ...saved], attributes)[0]!
          return tf.sum(full, broadcastAxes(bias.shape, full.shape), true)
        })
      return [...ofInputs, ofBias]
    },
  )
}

/** `attention` that also returns the weights after softmax and before dropout, [batch, numHeads, seqLen, keyLen]. */
export function attentionWithWeights(
  q: tf.Tensor,
  k: tf.Tensor,
  v: tf.Tensor,
  options: AttentionOptions = {},
): { output: tf.Tensor; weights: tf.Tensor } {
  checkAttention(q, k, v, options)
  return composedAttention(q, k, v, options)
}

function broadcastAxes(shape: number[], full: number[]): number[] {
  return full.flatMap((size, axis) => (shape[axis] === size ? [] : [axis]))
}

const optionNames: readonly (keyof AttentionOptions)[] = [
  'isCausal',
  'slidingWindow',
  'scale',
  'softcap',
  'bias',
  'keyPaddingMask',
  'dropout',
  'keyLen',
]

function checkAttention(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, options: AttentionOptions): void {
  checkOptionNames('attention', options, optionNames)
  const { isCausal, slidingWindow, softcap, bias, keyPaddingMask, dropout } = options
  checkRank('attention', 'q', q, 4, '[batch, seqLen, numHeads, headDim]')
  const [batch, seqLen, numHeads, headDim] = q.shape as [number, number, number, number]
  checkShape('attention', 'k', k, [batch, -1, -1, headDim])
  const [, capacity, numKeyValueHeads] = k.shape as [number, number, number, number]
  checkShape('attention', 'v', v, [batch, capacity, numKeyValueHeads, -1])
  checkFloats('attention', { q, k, v })
  if (numHeads % numKeyValueHeads !== 0) {
    throw new HeedError(
      'HEED_SHAPE_MISMATCH',
      `attention: q has ${numHeads} heads, expected a multiple of the ${numKeyValueHeads} heads of k. Check numKeyValueHeads.`,
    )
  }
  const keyLen = options.keyLen ?? capacity
  const isWhole = Number.isInteger(keyLen) && keyLen >= 0 && keyLen <= capacity
  checkArgument('attention', 'keyLen', keyLen, isWhole, `a whole number from 0 to ${capacity}`, 'k has no more rows.')
  if (slidingWindow !== undefined) {
    const isValid = Number.isInteger(slidingWindow) && slidingWindow > 0 && isCausal === true
    const rule = 'a whole number above 0, together with isCausal'
    checkArgument('attention', 'slidingWindow', slidingWindow, isValid, rule, 'Leave it out to see every earlier key.')
  }
  if (softcap !== undefined) {
    checkArgument('attention', 'softcap', softcap, softcap > 0, 'a number above 0', 'Leave it out for no cap.')
  }
  if (dropout) checkRate('attention', 'dropout.rate', dropout.rate)
  if (keyPaddingMask) checkShape('attention', 'keyPaddingMask', keyPaddingMask, [batch, keyLen])
  if (bias) {
    checkRank('attention', 'bias', bias, 4, '[batch | 1, numHeads | 1, seqLen | 1, keyLen]')
    const full = [batch, numHeads, seqLen, keyLen]
    const expected = full.map((size, axis) => (axis < 3 && bias.shape[axis] === 1 ? 1 : size))
    checkShape('attention', 'bias', bias, expected)
    checkFloats('attention', { bias })
  }
}

/** `attentionWithWeights` from tfjs's own ops; it stores the scores, [batch, numHeads, seqLen, keyLen]. */
export function composedAttention(
  q: tf.Tensor,
  k: tf.Tensor,
  v: tf.Tensor,
  { isCausal, slidingWindow, scale, softcap, bias, keyPaddingMask, dropout, keyLen }: AttentionOptions,
): { output: tf.Tensor; weights: tf.Tensor } {
  const [batch, seqLen, numHeads, headDim] = q.shape as [number, number, number, number]
  const numKeyValueHeads = k.shape[2]!
  const valueDim = v.shape[3]!
  const length = keyLen ?? k.shape[1]!
  const group = numHeads / numKeyValueHeads
  return tf.tidy(() => {
    const keyHeads = (x: tf.Tensor, size: number): tf.Tensor =>
      tf.transpose(tf.slice(x, [0, 0, 0, 0], [batch, length, numKeyValueHeads, size]), [0, 2, 1, 3])
    // The queries of a group lie one after another against their one key head: nothing is repeated.
    const queries = tf.transpose(q, [0, 2, 1, 3]).reshape([batch, numKeyValueHeads, group * seqLen, headDim])
    const products = tf.matMul(queries, keyHeads(k, headDim), false, true)
    let scores = tf.mul(products.reshape([batch, numHeads, seqLen, length]), scale ?? 1 / Math.sqrt(headDim))
    if (softcap) scores = tf.mul(tf.tanh(tf.div(scores, softcap)), softcap)
    if (bias) scores = tf.add(scores, bias)

    const visible = visibleKeys(seqLen, length, isCausal ?? false, slidingWindow, keyPaddingMask)
    if (visible) scores = tf.where(visible, scores, Number.NEGATIVE_INFINITY)
    // A row of only -Infinity has no maximum to subtract: shift by 0 there, so that its weights are 0 and not NaN.
    const shift = withoutGradient(scores, x => {
      const highest = tf.max(x, -1, true)
      return tf.where(tf.greater(highest, Number.NEGATIVE_INFINITY), highest, 0)
    })
    const exp = tf.exp(tf.sub(scores, shift))
    const total = tf.sum(exp, -1, true)
    const one = withoutGradient(total, x => tf.equal(x, 0).toFloat()) // where a row sees nothing: 0 / 1, not 0 / 0
    const weights = tf.div(exp, tf.add(total, one))

    const kept = dropout?.rate
      ? tf.mul(weights, tf.tensor(dropoutMask(weights.size, dropout.rate, dropout.seed), weights.shape))
      : weights
    const grouped = kept.reshape([batch, numKeyValueHeads, group * seqLen, length])
    const byHead = tf.matMul(grouped, keyHeads(v, valueDim)).reshape([batch, numHeads, seqLen, valueDim])
    return { output: tf.transpose(byHead, [0, 2, 1, 3]), weights }
  })
}

/** compute(x) as a constant: no gradient flows through it. */
function withoutGradient(x: tf.Tensor, compute: (x: tf.Tensor) => tf.Tensor): tf.Tensor {
  const constant = tf.customGrad((input: tf.Tensor | ((tensors: tf.Tensor[]) => void)) => ({
    value: compute(input as tf.Tensor),
    gradFunc: () => tf.zeros(x.shape),
  }))
  return constant(x)
}

/** bool [batch | 1, 1, seqLen | 1, keyLen], true where a query may look; undefined where it may look everywhere. */
function visibleKeys(
  seqLen: number,
  keyLen: number,
  isCausal: boolean,
  slidingWindow: number | undefined,
  keyPaddingMask: tf.Tensor | undefined,
): tf.Tensor | undefined {
  let visible = keyPaddingMask?.toBool().reshape([keyPaddingMask.shape[0]!, 1, 1, keyLen])
  if (isCausal) {
    const position = tf.range(keyLen - seqLen, keyLen, 1, 'int32').reshape([1, 1, seqLen, 1])
    const key = tf.range(0, keyLen, 1, 'int32').reshape([1, 1, 1, keyLen])
    let causal = tf.lessEqual(key, position)
    if (slidingWindow !== undefined) causal = tf.logicalAnd(causal, tf.greater(key, tf.sub(position, slidingWindow)))
    visible = visible ? tf.logicalAnd(visible, causal) : causal
  }
  return visible
}
