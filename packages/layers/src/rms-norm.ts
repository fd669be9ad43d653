import { rmsNorm, tf } from '@heed/tensor-backend'
import { checkSizes } from './checks.ts'
import { Module, type Parameter } from './module.ts'

/**
 * y = x / sqrt(mean(x²) + eps) · weight, over the last axis.
 * Zhang & Sennrich 2019 (arXiv:1910.07467), eq. 4; same numbers as HF `LlamaRMSNorm`.
 */
export class RMSNorm extends Module {
  readonly weight: Parameter // [hiddenSize]

  /** Throws HEED_ARGUMENT_INVALID. */
  constructor(
    readonly hiddenSize: number,
    readonly eps = 1e-6,
  ) {
    super()
    checkSizes('RMSNorm', { hiddenSize })
    this.weight = this.parameter('weight', tf.ones([hiddenSize]))
  }

  /** x: [..., hiddenSize] -> same shape. Throws HEED_SHAPE_MISMATCH. */
  forward(x: tf.Tensor): tf.Tensor {
    return rmsNorm(x, this.weight, this.eps)
  }
}
