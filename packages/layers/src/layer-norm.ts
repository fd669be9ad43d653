import { checkOptionNames, layerNorm, type tf } from '@heed/tensor-backend'
import { checkSizes } from './checks.ts'
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

  /** Throws HEED_ARGUMENT_INVALID. */
  constructor(
    readonly hiddenSize: number,
    options: { eps?: number; bias?: boolean } = {},
  ) {
    super()
    checkSizes('LayerNorm', { hiddenSize })
    checkOptionNames('LayerNorm', options, ['eps', 'bias'])
    const { eps = 1e-5, bias = true } = options
    this.eps = eps
    this.weight = this.parameter('weight', initialValue([hiddenSize], ones))
    this.bias = bias ? this.parameter('bias', initialValue([hiddenSize], zeros)) : undefined
  }

  /** x: [..., hiddenSize] -> same shape. Throws HEED_SHAPE_MISMATCH. */
  forward(x: tf.Tensor): tf.Tensor {
    return layerNorm(x, this.weight, this.bias, this.eps)
  }
}
