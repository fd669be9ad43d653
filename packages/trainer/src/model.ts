import type { tf } from '@heed/tensor-backend'

export interface TrainingOutput {
  /** Mean over the labels that count, in nats; there when labels were given. */
  loss?: tf.Scalar
  logits: tf.Tensor
}

/** What training needs of a model; every Heed model has it, and so may one of your own. */
export interface TrainableModel {
  /** Parameters by their name in the checkpoint, each variable once. */
  namedParameters(): Iterable<[string, tf.Variable]>
  forward(inputs: Record<string, tf.Tensor>): TrainingOutput
  /** Switches dropout on, and off. */
  train(): unknown
  eval(): unknown
  /** Writes the weights as F32 safetensors with their config. */
  savePretrained?(folder: string): Promise<unknown>
  readonly config?: { readonly vocabSize?: number }
}
