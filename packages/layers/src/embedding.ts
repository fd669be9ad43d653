import {
  checkOptionNames,
  checkShape,
  embedding,
  type QuantizedWeight,
  quantizedEmbedding,
  tf,
} from '@heed/tensor-backend'
import { checkSizes } from './checks.ts'
import { initialValue, normal } from './initializers.ts'
import { weightIsQuantized } from './linear.ts'
import { Module, type Parameter } from './module.ts'

export interface EmbeddingOptions {
  /** A table [numEmbeddings, hiddenSize] to share. */
  weight?: Parameter
  /** A row that gets no gradient from here, as `padding_idx` of PyTorch; below 0 it counts from the end. None by default. */
  paddingIdx?: number | null
}

/** y[..., :] = weight[ids[...], :]. Same numbers and keys as `torch.nn.Embedding`; begins standard normal, as it does. */
export class Embedding extends Module {
  readonly paddingIdx: number | undefined
  #weight: Parameter | QuantizedWeight

  /** Throws HEED_ARGUMENT_INVALID, and HEED_SHAPE_MISMATCH if a table to share is of another shape. */
  constructor(
    readonly numEmbeddings: number,
    readonly hiddenSize: number,
    options: EmbeddingOptions = {},
  ) {
    super()
    checkSizes('Embedding', { numEmbeddings, hiddenSize })
    checkOptionNames('Embedding', options, ['weight', 'paddingIdx'] satisfies (keyof EmbeddingOptions)[])
    const { weight, paddingIdx } = options
    if (weight) checkShape('Embedding', 'weight', weight, [numEmbeddings, hiddenSize])
    const isFromEnd = paddingIdx != null && paddingIdx < 0
    this.paddingIdx = isFromEnd ? numEmbeddings + paddingIdx : (paddingIdx ?? undefined)
    this.#weight = this.parameter('weight', weight ?? initialValue([numEmbeddings, hiddenSize], normal(1)))
  }

  /** [numEmbeddings, hiddenSize]. Throws HEED_DTYPE_UNSUPPORTED when it is in few bits. */
  get weight(): Parameter {
    if (this.#weight instanceof tf.Variable) return this.#weight
    throw weightIsQuantized('Embedding', this.#weight)
  }

  get isQuantized(): boolean {
    return !(this.#weight instanceof tf.Variable)
  }

  /** Puts a table of the same shape in the place of its own, which it frees. */
  quantize(weight: QuantizedWeight): void {
    this.replaceParameter('weight', weight)
    this.#weight = weight
  }

  /** ids: int32 of any shape, from 0 to numEmbeddings - 1 -> [...ids.shape, hiddenSize]. */
  forward(ids: tf.Tensor): tf.Tensor {
    if (!(this.#weight instanceof tf.Variable)) return quantizedEmbedding(ids, this.#weight)
    const y = embedding(ids, this.#weight)
    if (this.paddingIdx === undefined || tf.engine().state.gradientDepth === 0) return y
    const isToken = tf.tidy(() => tf.notEqual(ids, this.paddingIdx!).expandDims(-1).toFloat()) // [...ids.shape, 1]
    return withGradientWhere(y, isToken)
  }
}

/** x itself, whose gradient counts only where the mask is 1. */
function withGradientWhere(x: tf.Tensor, mask: tf.Tensor): tf.Tensor {
  const masked = tf.customGrad((value, save) => {
    ;(save as (tensors: tf.Tensor[]) => void)([mask])
    return {
      value: (value as tf.Tensor).clone(),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => tf.mul(dy, saved[0]!),
    }
  })
  return masked(x)
}
