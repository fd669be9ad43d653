import { HeedError, tf } from '@heed/tensor-backend'

/** A tensor of a batch before it becomes one. */
export interface BatchArray {
  readonly values: Int32Array | Float32Array
  readonly shape: number[]
}

/** The inputs of one forward pass, on the host, by the names `forward` knows. */
export interface Batch {
  readonly inputs: Readonly<Record<string, BatchArray>>
  /** 1 when the model predicts the next position's label (causal LM), so that the first label of a row does not count. */
  readonly labelShift: 0 | 1
}

/** The label that counts for nothing, as in PyTorch and HF. */
export const ignoreIndex = -100

/** Labels that the loss is a mean over: all but -100, without the first of each row when labels are shifted. */
export function countLabels({ inputs, labelShift }: Batch): number {
  const { labels } = inputs
  if (!labels) return 0
  const rowLength = labels.shape.at(-1) ?? 1
  let count = 0
  for (let i = 0; i < labels.values.length; i++) {
    if (labels.values[i] !== ignoreIndex && !(labelShift === 1 && i % rowLength === 0)) count += 1
  }
  return count
}

/** Tokens that went in: the positions of `inputIds` (and of `decoderInputIds`). */
export function countTokens({ inputs }: Batch): number {
  return (inputs.inputIds?.values.length ?? 0) + (inputs.decoderInputIds?.values.length ?? 0)
}

export function batchTensors({ inputs }: Batch): Record<string, tf.Tensor> {
  const tensors: Record<string, tf.Tensor> = {}
  for (const [name, { values, shape }] of Object.entries(inputs)) {
    tensors[name] = tf.tensor(values, shape, values instanceof Int32Array ? 'int32' : 'float32')
  }
  return tensors
}

/** Throws HEED_ID_OUT_OF_RANGE unless all token ids are within the vocabulary, and all labels that count. */
export function checkTokenIds({ inputs }: Batch, vocabSize: number): void {
  for (const name of ['inputIds', 'decoderInputIds', 'labels']) {
    const array = inputs[name]
    if (!array || array.values instanceof Float32Array || array.shape.length < 2) continue
    for (const id of array.values) {
      if ((id >= 0 && id < vocabSize) || (id === ignoreIndex && name === 'labels')) continue
      throw new HeedError(
        'HEED_ID_OUT_OF_RANGE',
        `training batch: ${name} holds ${id}, expected ids of at least 0 and below vocab_size (${vocabSize}). ` +
          'The tokenizer and the model do not belong together.',
      )
    }
  }
}
