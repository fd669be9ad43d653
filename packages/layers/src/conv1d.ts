import { checkLastDim, tf } from '@heed/tensor-backend'
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

  /** x: [..., inFeatures] -> [..., outFeatures]. Throws HEED_SHAPE_MISMATCH. */
  forward(x: tf.Tensor): tf.Tensor {
    checkLastDim('Conv1D', 'x', x, 'inFeatures', this.inFeatures)
    return tf.tidy(() => {
      const rows = x.reshape<tf.Tensor2D>([-1, this.inFeatures])
      const y = tf.matMul(rows, this.weight as unknown as tf.Tensor2D) // [rows, outFeatures]
      return tf.add(y, this.bias).reshape([...x.shape.slice(0, -1), this.outFeatures])
    })
  }
}
