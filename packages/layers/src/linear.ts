import { type Activation, linear, type tf } from '@heed/tensor-backend'
import { initialValue, uniform } from './initializers.ts'
import { Module, type Parameter } from './module.ts'

export interface LinearOptions {
  /** True for one of its own, false for none, or a bias [outFeatures] to share. */
  bias?: boolean | Parameter
  /** A weight [outFeatures, inFeatures] to share: an output projection tied to an embedding. */
  weight?: Parameter
}

/** y = x · weightᵀ + bias. Same numbers and keys as `torch.nn.Linear`, and its way to begin: uniform within ±1 / sqrt(inFeatures). */
export class Linear extends Module {
  readonly weight: Parameter // [outFeatures, inFeatures]
  readonly bias: Parameter | undefined // [outFeatures]

  constructor(
    readonly inFeatures: number,
    readonly outFeatures: number,
    { bias = true, weight }: LinearOptions = {},
  ) {
    super()
    const initializer = uniform(1 / Math.sqrt(inFeatures))
    this.weight = this.parameter('weight', weight ?? initialValue([outFeatures, inFeatures], initializer))
    const ownBias = (): tf.Tensor => initialValue([outFeatures], initializer)
    this.bias = bias ? this.parameter('bias', bias === true ? ownBias() : bias) : undefined
  }

  /** x: [..., inFeatures] -> activation(y) [..., outFeatures], in one kernel. Throws HEED_SHAPE_MISMATCH. */
  forward(x: tf.Tensor, activation: Activation = 'none'): tf.Tensor {
    return linear(x, this.weight, this.bias, activation)
  }
}
