import type { tf } from '@heed/tensor-backend'

/** Inputs of one forward pass, as batches bring them; more may come by the names a collator chose. */
export interface ModelInputs {
  inputIds: tf.Tensor // int32 [batch, seqLen], as are those below
  attentionMask?: tf.Tensor
  tokenTypeIds?: tf.Tensor
  decoderInputIds?: tf.Tensor
  labels?: tf.Tensor
  /** Whether logits without a label may be left out, when only the loss is wanted; a model is free to make all. */
  sparsePrediction?: boolean
}

export interface TrainingOutput {
  /** Mean over the labels that count, in nats; there when labels were given. */
  loss?: tf.Scalar
  logits: tf.Tensor
}

/** What training needs of a model; every Heed model has it, and so may one of your own. */
export interface TrainableModel {
  /** Parameters by their name in the checkpoint, each variable once; those with `trainable` false stay as they are. */
  namedParameters(): Iterable<[string, tf.Variable]>
  forward(inputs: ModelInputs): TrainingOutput
  /** True where the loss is another than the cross entropy of logits and labels, which label smoothing would put in its place. */
  readonly hasOwnLoss?: boolean
  /** Switches dropout on, and off. */
  train(): unknown
  eval(): unknown
  /** Writes the weights as F32 safetensors with their config. */
  savePretrained?(folder: string): Promise<unknown>
}
