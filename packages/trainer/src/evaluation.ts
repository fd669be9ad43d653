import { HeedError, nextTask, tf, type World } from '@heed/tensor-backend'
import { type Batch, countLabels, ignoreIndex } from './data/batch.ts'
import { type DatasetLike, isStream } from './data/sources.ts'
import { type BatchPlan, updatesOf } from './data/updates.ts'
import { bitsPerByte, perplexity } from './metrics.ts'
import type { TrainableModel } from './model.ts'
import { type LossOptions, withBatch } from './training-step.ts'

export interface Evaluation {
  /** Mean over all labels, in nats; smoothed as in training, where that smooths labels. */
  loss: number
  /** exp of the mean over the labels as they are, as are bits per byte. */
  perplexity: number
  /** Where the data set knows its bytes a token. */
  bitsPerByte?: number
  /** Seconds, and examples in one. */
  runtime: number
  samplesPerSecond: number
  /** What `computeMetrics` gave. */
  [metric: string]: number | undefined
}

/** The most probable class or token at each label that counts, in the order of the data. */
export interface PredictedLabels {
  predictions: Int32Array
  labels: Int32Array
}

/** Numbers of one's own from what was predicted, by their names without `eval`. */
export type ComputeMetrics = (predicted: PredictedLabels) => Record<string, number>

export interface EvaluationOptions extends LossOptions {
  signal?: AbortSignal
  computeMetrics?: ComputeMetrics | undefined
  /** The processes that share the work; with `computeMetrics`, which needs all predictions, each does all of it. */
  world?: World | undefined
}

/**
 * The mean loss over a data set of the model, which stays in eval mode; undefined when `signal` stopped it. Throws
 * HEED_ARGUMENT_INVALID when there are no labels to take a mean over.
 */
export async function evaluateModel<T>(
  model: TrainableModel,
  dataset: DatasetLike<T>,
  plan: BatchPlan<T>,
  { signal, computeMetrics, world, ...options }: EvaluationOptions = {},
): Promise<Evaluation | undefined> {
  const startedAt = performance.now()
  let lossSum = 0
  let plainSum = 0
  let numLabels = 0
  let numExamples = 0
  const collected: PredictedLabels[] = []
  const shared = computeMetrics ? undefined : world
  let number = 0
  model.eval()
  for await (const batches of updatesOf(dataset, plan, 0)) {
    if (signal?.aborted) return undefined
    if (shared && number++ % shared.size !== shared.rank) continue
    for (const batch of batches) {
      const { loss, plainLoss, predictions } = await evaluateBatch(model, batch, computeMetrics !== undefined, options)
      const labels = countLabels(batch)
      lossSum += loss * labels
      plainSum += plainLoss * labels
      numLabels += labels
      if (predictions) collected.push(countedPairs(batch, predictions))
      numExamples += Object.values(batch.inputs)[0]?.shape[0] ?? 0
    }
    await nextTask()
  }
  if (shared)
    [lossSum, plainSum, numLabels, numExamples] = shared.sum([lossSum, plainSum, numLabels, numExamples]) as [
      number,
      number,
      number,
      number,
    ]
  if (numLabels === 0) throw noLabels(numExamples)
  const plainLoss = plainSum / numLabels
  const runtime = (performance.now() - startedAt) / 1000
  const bytesPerToken = isStream(dataset) ? undefined : dataset.bytesPerToken
  return {
    loss: lossSum / numLabels,
    perplexity: perplexity(plainLoss),
    ...(bytesPerToken !== undefined && { bitsPerByte: bitsPerByte(plainLoss, bytesPerToken) }),
    runtime,
    samplesPerSecond: numExamples / runtime,
    ...computeMetrics?.(joined(collected)),
  }
}

function noLabels(numExamples: number): HeedError {
  const mend =
    numExamples === 0
      ? 'A stream must start anew each time it is iterated.'
      : 'Labels of -100, and the first of a row for the next token, do not count.'
  return new HeedError(
    'HEED_ARGUMENT_INVALID',
    `Trainer: evalDataset gave 0 labels in ${numExamples} examples, expected at least one. ${mend}`,
  )
}

async function evaluateBatch(
  model: TrainableModel,
  batch: Batch,
  wantsPredictions: boolean,
  options: LossOptions,
): Promise<{ loss: number; plainLoss: number; predictions?: Int32Array }> {
  const isSmoothed = (options.labelSmoothing ?? 0) > 0
  const [losses, predictions] = withBatch(model, batch, { ...options, needsLossOnly: !wantsPredictions }, compute =>
    tf.tidy((): tf.Tensor[] => {
      const output = compute()
      const losses = tf.stack(isSmoothed ? [output.loss, output.plainLoss()] : [output.loss])
      return wantsPredictions ? [losses, tf.argMax(output.logits, -1)] : [losses]
    }),
  )
  try {
    const [loss, plainLoss = loss] = await losses!.data()
    return {
      loss: loss!,
      plainLoss: plainLoss!,
      ...(predictions && { predictions: await predictions.data<'int32'>() }),
    }
  } finally {
    tf.dispose([losses!, ...(predictions ? [predictions] : [])])
  }
}

/** Of a batch, the labels that count, each with what was predicted for it. */
function countedPairs({ inputs, labelShift }: Batch, predictions: Int32Array): PredictedLabels {
  const { values, shape } = inputs.labels!
  const rowLength = shape.at(-1)!
  const places: number[] = []
  for (let i = 0; i < values.length; i++) {
    if (values[i] !== ignoreIndex && !(labelShift === 1 && i % rowLength === 0)) places.push(i)
  }
  return {
    predictions: Int32Array.from(places, place => predictions[place - labelShift]!),
    labels: Int32Array.from(places, place => values[place]!),
  }
}

function joined(parts: readonly PredictedLabels[]): PredictedLabels {
  const join = (key: keyof PredictedLabels): Int32Array => Int32Array.from(parts.flatMap(part => [...part[key]]))
  return { predictions: join('predictions'), labels: join('labels') }
}
