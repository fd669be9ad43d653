import { HeedError, tf } from '@heed/tensor-backend'
import type { ModelInputs } from '../model.ts'

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
  /** What the loss is a mean over, where that is not labels: pairs of answers. */
  readonly numLosses?: number
}

/** The label that counts for nothing, as in PyTorch and HF. */
export const ignoreIndex = -100

/**
 * Labels that the loss is a mean over: all but -100, without the first of each row when labels are shifted. Throws
 * HEED_CONFIG_INVALID when the batch does not tell.
 */
export function countLabels({ inputs, labelShift, numLosses }: Batch): number {
  if (numLosses !== undefined) return numLosses
  const { labels } = inputs
  if (!labels) {
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      `Trainer: inputs of the batch are ${Object.keys(inputs).join(', ')}, expected labels among them. ` +
        'A collator for a loss over something else gives numLosses: what it is a mean over.',
    )
  }
  const rowLength = labels.shape.at(-1) ?? 1
  let count = 0
  for (let i = 0; i < labels.values.length; i++) {
    if (labels.values[i] !== ignoreIndex && !(labelShift === 1 && i % rowLength === 0)) count += 1
  }
  return count
}

/** Tokens that went in, padding not counted: those of `inputIds`, and where there is a decoder its labels. */
export function countTokens({ inputs }: Batch): number {
  const { inputIds, attentionMask, decoderInputIds, labels } = inputs
  const visible = (mask: BatchArray, hidden: number): number => mask.values.filter(value => value !== hidden).length
  const encoded = attentionMask ? visible(attentionMask, 0) : (inputIds?.values.length ?? 0)
  if (!decoderInputIds) return encoded
  return encoded + (labels ? visible(labels, ignoreIndex) : decoderInputIds.values.length)
}

export function batchTensors({ inputs }: Batch): ModelInputs {
  const tensors: Record<string, tf.Tensor> = {}
  for (const [name, { values, shape }] of Object.entries(inputs)) {
    tensors[name] = tf.tensor(values, shape, values instanceof Int32Array ? 'int32' : 'float32')
  }
  return tensors as ModelInputs & typeof tensors
}
