import { tf } from '../tf.ts'
import { checkRank, checkShape } from './checks.ts'
import { dropoutMask } from './dropout.ts'

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
 * Throws HEED_SHAPE_MISMATCH.
 */
export function attention(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, options: AttentionOptions = {}): tf.Tensor {
  checkAttention(q, k, v, options)
  return tf.tidy(() => composedAttention(q, k, v, options).output)
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

function checkAttention(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, { keyPaddingMask, keyLen }: AttentionOptions): void {
  checkRank('attention', 'q', q, 4, '[batch, seqLen, numHeads, headDim]')
  checkShape('attention', 'k', k, [q.shape[0]!, -1, -1, q.shape[3]!])
  checkShape('attention', 'v', v, [k.shape[0]!, k.shape[1]!, k.shape[2]!, -1])
  const used = keyLen ?? k.shape[1]!
  if (keyPaddingMask) checkShape('attention', 'keyPaddingMask', keyPaddingMask, [q.shape[0]!, used])
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
    const heads = (x: tf.Tensor, size: number): tf.Tensor => {
      const used = tf.slice(x, [0, 0, 0, 0], [batch, length, numKeyValueHeads, size])
      const byHead = tf.transpose(used, [0, 2, 1, 3]).expandDims(2) // [batch, numKeyValueHeads, 1, keyLen, size]
      return tf.tile(byHead, [1, 1, group, 1, 1]).reshape([batch, numHeads, length, size])
    }
    let scores = tf.mul(
      tf.matMul(tf.transpose(q, [0, 2, 1, 3]), heads(k, headDim), false, true),
      scale ?? 1 / Math.sqrt(headDim),
    ) // [batch, numHeads, seqLen, keyLen]
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
    const weights = tf.div(exp, tf.maximum(tf.sum(exp, -1, true), 1e-30))

    const kept = dropout?.rate
      ? tf.mul(weights, tf.tensor(dropoutMask(weights.size, dropout.rate, dropout.seed), weights.shape))
      : weights
    const output = tf.transpose(tf.matMul(kept, heads(v, valueDim)), [0, 2, 1, 3]) // [batch, seqLen, numHeads, valueDim]
    return { output, weights }
  })
}

/** compute(x) as a constant: no gradient flows through it. */
function withoutGradient(x: tf.Tensor, compute: (x: tf.Tensor) => tf.Tensor): tf.Tensor {
  const constant = tf.customGrad((input: tf.Tensor | ((tensors: tf.Tensor[]) => void)) => ({
    value: compute(input as tf.Tensor),
    gradFunc: () => tf.zerosLike(x),
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
