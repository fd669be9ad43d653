import { countLabels } from './data/batch.ts'
import { type DatasetLike, isStream } from './data/sources.ts'
import { type BatchPlan, updatesOf } from './data/updates.ts'
import { bitsPerByte, perplexity } from './metrics.ts'
import type { TrainableModel } from './model.ts'
import { nextTask } from './next-task.ts'
import { type LossOptions, withBatchLoss } from './training-step.ts'

export interface Evaluation {
  /** Mean over all labels, in nats. */
  loss: number
  perplexity: number
  /** Where the data set knows its bytes a token. */
  bitsPerByte?: number
  /** Seconds, and examples in one. */
  runtime: number
  samplesPerSecond: number
}

/** The model's mean loss over a data set, which stays in eval mode; undefined when `signal` stopped it. */
export async function evaluateModel<T>(
  model: TrainableModel,
  dataset: DatasetLike<T>,
  plan: BatchPlan<T>,
  { signal, ...options }: LossOptions & { signal?: AbortSignal } = {},
): Promise<Evaluation | undefined> {
  const startedAt = performance.now()
  let lossSum = 0
  let numLabels = 0
  let numExamples = 0
  model.eval()
  for await (const batches of updatesOf(dataset, plan, 0)) {
    if (signal?.aborted) return undefined
    for (const batch of batches) {
      const loss = withBatchLoss(model, batch, options, compute => compute())
      const labels = countLabels(batch)
      lossSum += (await loss.data())[0]! * labels
      loss.dispose()
      numLabels += labels
      numExamples += Object.values(batch.inputs)[0]?.shape[0] ?? 0
    }
    await nextTask()
  }
  const loss = lossSum / Math.max(1, numLabels)
  const runtime = (performance.now() - startedAt) / 1000
  const bytesPerToken = isStream(dataset) ? undefined : dataset.bytesPerToken
  return {
    loss,
    perplexity: perplexity(loss),
    ...(bytesPerToken !== undefined && { bitsPerByte: bitsPerByte(loss, bytesPerToken) }),
    runtime,
    samplesPerSecond: numExamples / runtime,
  }
}
