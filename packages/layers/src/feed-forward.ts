import { type Activation, activate, checkOptionNames, swiGlu, tf } from '@heed/tensor-backend'
import { Dropout } from './dropout.ts'
import { Linear } from './linear.ts'
import { Module } from './module.ts'

/** y = activation(x · W₁ᵀ + b₁) · W₂ᵀ + b₂. Vaswani et al. 2017 (arXiv:1706.03762), eq. 2. */
export class FeedForward extends Module {
  readonly fc1: Linear
  readonly fc2: Linear
  readonly dropout: Dropout
  readonly activation: Activation

  /** Throws HEED_ARGUMENT_INVALID. */
  constructor(
    hiddenSize: number,
    intermediateSize: number,
    options: { activation?: Activation; bias?: boolean; dropout?: number } = {},
  ) {
    super()
    checkOptionNames('FeedForward', options, ['activation', 'bias', 'dropout'])
    const { activation = 'relu', bias = true, dropout = 0 } = options
    this.activation = activation
    this.fc1 = this.child('fc1', new Linear(hiddenSize, intermediateSize, { bias }))
    this.fc2 = this.child('fc2', new Linear(intermediateSize, hiddenSize, { bias }))
    this.dropout = this.child('dropout', new Dropout(dropout))
  }

  /** x: [..., hiddenSize] -> same shape. Throws HEED_SHAPE_MISMATCH. */
  forward(x: tf.Tensor): tf.Tensor {
    return tf.tidy(() => {
      const h = this.fc1.forward(x, this.activation) // [..., intermediateSize]
      return this.fc2.forward(this.dropout.forward(h))
    })
  }
}

export interface GatedFeedForwardOptions {
  bias?: boolean
  /** Of the gate. */
  activation?: Activation
  /** Checkpoint keys of the gate, up and down projections. */
  keys?: readonly [gate: string, up: string, down: string]
}

/**
 * y = (activation(x · W_gateᵀ) · (x · W_upᵀ)) · W_downᵀ: SwiGLU with `silu`, GeGLU with `gelu`.
 * Shazeer 2020 (arXiv:2002.05202), eq. 5 and 6; keys and numbers of HF `LlamaMLP`.
 */
export class GatedFeedForward extends Module {
  readonly gateProj: Linear
  readonly upProj: Linear
  readonly downProj: Linear
  readonly activation: Activation

  /** Throws HEED_ARGUMENT_INVALID. */
  constructor(hiddenSize: number, intermediateSize: number, options: GatedFeedForwardOptions = {}) {
    super()
    checkOptionNames('GatedFeedForward', options, [
      'bias',
      'activation',
      'keys',
    ] satisfies (keyof GatedFeedForwardOptions)[])
    const { bias = false, activation = 'silu', keys = ['gate_proj', 'up_proj', 'down_proj'] } = options
    this.activation = activation
    this.gateProj = this.child(keys[0], new Linear(hiddenSize, intermediateSize, { bias }))
    this.upProj = this.child(keys[1], new Linear(hiddenSize, intermediateSize, { bias }))
    this.downProj = this.child(keys[2], new Linear(intermediateSize, hiddenSize, { bias }))
  }

  /** x: [..., hiddenSize] -> same shape. Throws HEED_SHAPE_MISMATCH. */
  forward(x: tf.Tensor): tf.Tensor {
    return tf.tidy(() => {
      const h = tf.tidy(() => gated(this.gateProj.forward(x), this.upProj.forward(x), this.activation)) // [..., intermediateSize]
      return this.downProj.forward(h)
    })
  }
}

/** activation(gate) · up, element-wise. gate and up: same shape -> that shape. */
export function gated(gate: tf.Tensor, up: tf.Tensor, activation: Activation): tf.Tensor {
  return activation === 'silu' ? swiGlu(gate, up) : tf.tidy(() => tf.mul(activate(gate, activation), up))
}
