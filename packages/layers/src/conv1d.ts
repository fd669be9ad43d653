import { type Activation, checkLastDim, linear, type tf } from '@heed/tensor-backend'
import { initialValue, normal, zeros } from './initializers.ts'
import { Module, type Parameter } from './module.ts'

/** y = x · weight + bias: a linear layer whose weight lies the other way round, as in GPT-2's files (HF `Conv1D`). */
export class Conv1D extends Module {
  readonly weight: Parameter // [inFeatures, outFeatures]
  readonly bias: Parameter // [outFeatures]

  constructor(
    readonly inFeatures: number,
    readonly outFeatures: number,
  ) {
    super()
    this.weight = this.parameter('weight', initialValue([inFeatures, outFeatures], normal(0.02)))
    this.bias = this.parameter('bias', initialValue([outFeatures], zeros))
  }

  /** x: [..., inFeatures] -> activation(y) [..., outFeatures], in one kernel. Throws HEED_SHAPE_MISMATCH. */
  forward(x: tf.Tensor, activation: Activation = 'none'): tf.Tensor {
    checkLastDim('Conv1D', 'x', x, 'inFeatures', this.inFeatures)
    return linear(x, this.weight, this.bias, activation, 'inOut', true)
  }
}
