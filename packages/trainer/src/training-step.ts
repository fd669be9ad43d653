import { Module, seedDropout } from '@heed/layers'
import { accumulate, crossEntropy, HeedError, tf, variableGradients, type World } from '@heed/tensor-backend'
import { type Batch, batchTensors, countLabels } from './data/batch.ts'
import type { GradientCheckpointing } from './gradient-checkpointing.ts'
import type { TrainableModel } from './model.ts'
import type { NamedParameter } from './optim/optimizer.ts'
import { hash } from './random.ts'

export interface LossOptions {
  /** Weight of the uniform distribution in the target; the loss is then taken from the logits. */
  labelSmoothing?: number
  /** Of the dropout masks: the same seed gives the same masks. */
  seed?: number
  /** Whether logits of positions without a label are not needed. */
  needsLossOnly?: boolean
}

export interface UpdateOptions extends LossOptions {
  /** Labels of all batches, those of other processes included; by default those of `batches`. */
  numLabels?: number
  /** The processes whose batches make the update with ours. */
  world?: World | undefined
  checkpointing?: GradientCheckpointing | undefined
}

/** A mean loss over labels, with the logits it comes from. */
export interface BatchOutput {
  loss: tf.Scalar
  logits: tf.Tensor
  /** The loss of the labels as they are, which smoothing makes another. */
  plainLoss(): tf.Scalar
}

/**
 * Hands `use` what computes the model's mean loss over the labels of a batch; the inputs live until it returns.
 * Throws HEED_CONFIG_INVALID when the model returns no loss, and what the model throws.
 */
export function withBatch<R>(
  model: TrainableModel,
  batch: Batch,
  { labelSmoothing = 0, needsLossOnly = false }: LossOptions,
  use: (compute: () => BatchOutput) => R,
): R {
  const tensors = batchTensors(batch)
  const compute = (): BatchOutput => {
    const sparsePrediction = needsLossOnly && labelSmoothing === 0
    const { loss, logits } = model.forward({ ...tensors, ...(sparsePrediction && { sparsePrediction }) })
    if (labelSmoothing > 0) {
      const lossWith = (smoothing: number): tf.Scalar =>
        lossOfLogits(logits, tensors.labels!, batch.labelShift, smoothing)
      return { logits, loss: lossWith(labelSmoothing), plainLoss: () => loss ?? lossWith(0) }
    }
    if (loss) return { logits, loss, plainLoss: () => loss }
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      'Trainer: loss is undefined, expected a scalar from model.forward({ labels }). Return one beside logits.',
    )
  }
  try {
    return use(compute)
  } finally {
    tf.dispose(Object.values(tensors))
  }
}

function lossOfLogits(logits: tf.Tensor, labels: tf.Tensor, shift: 0 | 1, labelSmoothing: number): tf.Scalar {
  if (shift === 0) return crossEntropy(logits, labels, { labelSmoothing })
  const [batch, seqLen, vocabSize] = logits.shape as [number, number, number]
  const predicted = tf.slice(logits, [0, 0, 0], [batch, seqLen - 1, vocabSize])
  return crossEntropy(predicted, tf.slice(labels, [0, 1], [batch, seqLen - 1]), { labelSmoothing })
}

/** Labels of all the batches. */
export function labelsOf(batches: readonly Batch[]): number {
  return batches.reduce((sum, batch) => sum + countLabels(batch), 0)
}

/**
 * Loss and gradients of one update: the mean over all labels of all its batches, as one batch of them together would
 * give. The gradients are those of `parameters` that the loss depends on; among several processes they are sums over all,
 * on their way while earlier layers are still being computed, and the loss is this process's part. The caller disposes
 * of all.
 */
export function lossAndGradients(
  model: TrainableModel,
  parameters: readonly NamedParameter[],
  batches: readonly Batch[],
  { numLabels = labelsOf(batches), world, checkpointing, ...options }: UpdateOptions = {},
): { loss: tf.Scalar; gradients: Map<string, tf.Tensor> } {
  const variables = parameters.map(([, value]) => value)
  let loss: tf.Scalar | undefined
  const sums = new Map<tf.Variable, tf.Tensor>()
  const add = (variable: tf.Variable, gradient: tf.Tensor): tf.Tensor => {
    const sum = sums.get(variable)
    sums.delete(variable)
    return sum ? accumulate(sum, gradient) : gradient
  }
  try {
    for (const [index, batch] of batches.entries()) {
      const share = countLabels(batch) / Math.max(1, numLabels)
      const isSent = world !== undefined && index === batches.length - 1
      if (options.seed !== undefined && model instanceof Module) seedDropout(model, hash(options.seed, index))
      const { value, gradients } = withBatch(model, batch, { ...options, needsLossOnly: true }, compute => {
        try {
          return variableGradients(
            () => tf.tidy(() => (share === 1 ? compute().loss : tf.mul(compute().loss, share))),
            variables,
            isSent ? (variable, gradient) => world.startSum(add(variable, gradient)) : undefined,
          )
        } finally {
          checkpointing?.release()
        }
      })
      loss = loss ? accumulate(loss, value) : value
      for (const [variable, gradient] of gradients) sums.set(variable, isSent ? gradient : add(variable, gradient))
    }
  } catch (error) {
    tf.dispose([...(loss ? [loss] : []), ...sums.values()])
    throw error
  }
  world?.wait()
  const named = parameters.flatMap(([name, value]) => (sums.has(value) ? [[name, sums.get(value)!] as const] : []))
  return { loss: loss!, gradients: new Map(named) }
}
