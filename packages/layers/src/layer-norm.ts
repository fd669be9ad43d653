import { layerNorm, type tf } from '@heed/tensor-backend'
import { initialValue, ones, zeros } from './initializers.ts'
import { Module, type Parameter } from './module.ts'

/**
 * y = (x - mean(x)) / sqrt(var(x) + eps) · weight + bias, over the last axis.
 * Ba et al. 2016 (arXiv:1607.06450); same numbers and keys as `torch.nn.LayerNorm`.
 */
export class LayerNorm extends Module {
  readonly weight: Parameter // [hiddenSize]
  readonly bias: Parameter | undefined // [hiddenSize]
  readonly eps: number

  constructor(
    readonly hiddenSize: number,
    { eps = 1e-5, bias = true }: { eps?: number; bias?: boolean } = {},
  ) {
    super()
    this.eps = eps
    this.weight = this.parameter('weight', initialValue([hiddenSize], ones))
    this.bias = bias ? this.parameter('bias', initialValue([hiddenSize], zeros)) : undefined
  }

  /** x: [..., hiddenSize] -> same shape. Throws HEED_SHAPE_MISMATCH. */
  forward(x: tf.Tensor): tf.Tensor {
    return layerNorm(x, this.weight, this.bias, this.eps)
  }
}
