import { embedding, type tf } from '@heed/tensor-backend'
import { initialValue, normal } from './initializers.ts'
import { Module, type Parameter } from './module.ts'

/** y[..., :] = weight[ids[...], :]. Same numbers and keys as `torch.nn.Embedding`; begins standard normal, as it does. */
export class Embedding extends Module {
  readonly weight: Parameter // [numEmbeddings, hiddenSize]

  constructor(
    readonly numEmbeddings: number,
    readonly hiddenSize: number,
    { weight }: { weight?: Parameter } = {},
  ) {
    super()
    this.weight = this.parameter('weight', weight ?? initialValue([numEmbeddings, hiddenSize], normal(1)))
  }

  /** ids: int32 of any shape, from 0 to numEmbeddings - 1 -> [...ids.shape, hiddenSize]. */
  forward(ids: tf.Tensor): tf.Tensor {
    return embedding(ids, this.weight)
  }
}
