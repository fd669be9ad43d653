import {
  type AttentionOptions,
  attention,
  attentionWithWeights,
  checkOptionNames,
  checkRank,
  HeedError,
  tf,
} from '@heed/tensor-backend'
import { checkSizes } from './checks.ts'
import { Dropout } from './dropout.ts'
import type { LayerCache } from './kv-cache.ts'
import { Linear } from './linear.ts'
import { Module } from './module.ts'
import type { RotaryAngles } from './positions/rotary.ts'
import type { Recorder } from './recorder.ts'

/** What all layers of one forward pass share: which keys are seen, and where attention weights go when they are wanted. */
export interface AttentionStep extends Omit<AttentionOptions, 'dropout' | 'scale'> {
  weights?: Recorder
}

/** [batch, seqLen, numHeads · headDim] -> [batch, seqLen, numHeads, headDim]. Throws HEED_SHAPE_MISMATCH. */
export function splitHeads(x: tf.Tensor, numHeads: number): tf.Tensor {
  checkRank('splitHeads', 'x', x, 3, '[batch, seqLen, numHeads · headDim]')
  const [batch, seqLen, size] = x.shape as [number, number, number]
  if (size % numHeads !== 0) {
    throw new HeedError(
      'HEED_SHAPE_MISMATCH',
      `splitHeads: x has shape [${x.shape.join(', ')}], expected a last axis that is a multiple of numHeads (${numHeads}). ` +
        'Check which layer made x.',
    )
  }
  return x.reshape([batch, seqLen, numHeads, size / numHeads])
}

/** [batch, seqLen, numHeads, headDim] -> [batch, seqLen, numHeads · headDim]. Throws HEED_SHAPE_MISMATCH. */
export function mergeHeads(x: tf.Tensor): tf.Tensor {
  checkRank('mergeHeads', 'x', x, 4, '[batch, seqLen, numHeads, headDim]')
  const [batch, seqLen, numHeads, headDim] = x.shape as [number, number, number, number]
  return x.reshape([batch, seqLen, numHeads * headDim])
}

/** `attention` of q, k and v split into heads -> [batch, seqLen, numHeads, valueDim]; the step's recorder gets the weights. */
export function attend(
  q: tf.Tensor,
  k: tf.Tensor,
  v: tf.Tensor,
  { weights: recorder, ...step }: AttentionStep,
  options: Pick<AttentionOptions, 'dropout' | 'scale'> = {},
): tf.Tensor {
  if (!recorder) return attention(q, k, v, { ...step, ...options })
  const { output, weights } = attentionWithWeights(q, k, v, { ...step, ...options })
  recorder.record(weights)
  return output
}

export interface MultiHeadAttentionOptions {
  hiddenSize: number
  numAttentionHeads: number
  /** Query heads share key heads in groups of numAttentionHeads / numKeyValueHeads; one key head each by default. */
  numKeyValueHeads?: number
  /** hiddenSize / numAttentionHeads by default. */
  headDim?: number
  bias?: boolean
  /** Dropout rate of the attention weights. */
  dropout?: number
  /** Factor of the scores; 1 / sqrt(headDim) by default. */
  scale?: number
  /** Checkpoint keys of the query, key, value and output projections. */
  keys?: readonly [query: string, key: string, value: string, output: string]
}

const optionNames: readonly (keyof MultiHeadAttentionOptions)[] = [
  'hiddenSize',
  'numAttentionHeads',
  'numKeyValueHeads',
  'headDim',
  'bias',
  'dropout',
  'scale',
  'keys',
]

export interface MultiHeadAttentionInputs extends Omit<AttentionStep, 'keyLen'> {
  memory?: tf.Tensor
  cache?: LayerCache
  /** Rotates queries and keys. */
  rotary?: RotaryAngles
}

/**
 * Concat(head_1, ..., head_h) · Wᴼ, head_i = attention(x · Wᵢᵠ, y · Wᵢᴷ, y · Wᵢⱽ), where y is x itself or, in cross attention,
 * another sequence. Vaswani et al. 2017 (arXiv:1706.03762), section 3.2.2; groups as in Ainslie et al. 2023 (arXiv:2305.13245).
 */
export class MultiHeadAttention extends Module {
  readonly numAttentionHeads: number
  readonly numKeyValueHeads: number
  readonly query: Linear
  readonly key: Linear
  readonly value: Linear
  readonly output: Linear
  readonly dropout: Dropout
  readonly scale: number

  /** Throws HEED_ARGUMENT_INVALID, and HEED_CONFIG_INVALID when the heads do not divide. */
  constructor(options: MultiHeadAttentionOptions) {
    super()
    checkOptionNames('MultiHeadAttention', options, optionNames)
    const { hiddenSize, numAttentionHeads, numKeyValueHeads = numAttentionHeads } = options
    checkSizes('MultiHeadAttention', { hiddenSize, numAttentionHeads, numKeyValueHeads })
    const { headDim = hiddenSize / numAttentionHeads, bias = true, dropout = 0 } = options
    const { scale = 1 / Math.sqrt(headDim), keys = ['q_proj', 'k_proj', 'v_proj', 'out_proj'] } = options
    if (!Number.isInteger(headDim)) checkDivides('hiddenSize', hiddenSize, 'numAttentionHeads', numAttentionHeads)
    checkDivides('numAttentionHeads', numAttentionHeads, 'numKeyValueHeads', numKeyValueHeads)
    this.numAttentionHeads = numAttentionHeads
    this.numKeyValueHeads = numKeyValueHeads
    this.scale = scale
    const project = (size: number): Linear => new Linear(hiddenSize, size, { bias })
    this.query = this.child(keys[0], project(numAttentionHeads * headDim))
    this.key = this.child(keys[1], project(numKeyValueHeads * headDim))
    this.value = this.child(keys[2], project(numKeyValueHeads * headDim))
    this.output = this.child(keys[3], new Linear(numAttentionHeads * headDim, hiddenSize, { bias }))
    this.dropout = this.child('dropout', new Dropout(dropout))
  }

  /**
   * x: [batch, seqLen, hiddenSize] -> same shape. `memory` [batch, keyLen, hiddenSize] is what cross attention reads; its cache
   * keeps the first memory it is given. Throws HEED_SHAPE_MISMATCH, HEED_ARGUMENT_INVALID.
   */
  forward(x: tf.Tensor, { memory, cache, rotary, ...step }: MultiHeadAttentionInputs = {}): tf.Tensor {
    return tf.tidy(() => {
      const turn = (y: tf.Tensor): tf.Tensor => (rotary ? rotary.apply(y) : y)
      const q = turn(splitHeads(this.query.forward(x), this.numAttentionHeads))
      const options = { scale: this.scale, ...this.dropout.option }
      if (memory && cache) {
        if (cache.length === 0) cache.append(...this.#keysAndValues(memory, turn))
        return this.output.forward(mergeHeads(cache.attendHeld(q, step, options)))
      }
      const [k, v] = this.#keysAndValues(memory ?? x, turn)
      const y = cache ? cache.attend(q, k, v, step, options) : attend(q, k, v, step, options)
      return this.output.forward(mergeHeads(y))
    })
  }

  /** [batch, keyLen, numKeyValueHeads, headDim] each. */
  #keysAndValues(y: tf.Tensor, turn: (y: tf.Tensor) => tf.Tensor): [tf.Tensor, tf.Tensor] {
    const k = turn(splitHeads(this.key.forward(y), this.numKeyValueHeads))
    return [k, splitHeads(this.value.forward(y), this.numKeyValueHeads)]
  }
}

function checkDivides(name: string, value: number, divisorName: string, divisor: number): void {
  if (Number.isInteger(value / divisor)) return
  throw new HeedError(
    'HEED_CONFIG_INVALID',
    `MultiHeadAttention: ${name} is ${value}, expected a multiple of ${divisorName} (${divisor}). Change one of them.`,
  )
}
