import { HeedError } from '@heed/tensor-backend'
import type { TrainingArguments } from './arguments.ts'
import type { TrainerState } from './trainer-state.ts'

/** `loss` -> `evalLoss`, as evaluation names it. */
export function bestMetricName({ metricForBestModel: name }: TrainingArguments): string {
  return name.startsWith('eval') ? name : `eval${name[0]?.toUpperCase() ?? ''}${name.slice(1)}`
}

/** Whether more of the metric is better: of all but losses, perplexities and bits. */
export function isGreaterBetter({ greaterIsBetter, metricForBestModel }: TrainingArguments): boolean {
  return greaterIsBetter ?? !/loss|perplexity|bits/i.test(metricForBestModel)
}

/** Notes in the state when metrics are the best so far, which NaN never is -> whether they are. Throws HEED_CONFIG_INVALID when the metric is not among them. */
export function noteBest(
  state: TrainerState,
  args: TrainingArguments,
  metrics: Readonly<Record<string, number>>,
): boolean {
  const name = bestMetricName(args)
  const value = metrics[name]
  if (value === undefined) {
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      `TrainingArguments: metricForBestModel is "${args.metricForBestModel}", expected one of ${Object.keys(metrics).join(', ')}. Name one, or return it from computeMetrics.`,
    )
  }
  const { bestMetric } = state
  if (Number.isNaN(value)) return false
  const isBest = bestMetric === undefined || (isGreaterBetter(args) ? value > bestMetric : value < bestMetric)
  if (!isBest) return false
  state.bestMetric = value
  state.bestGlobalStep = state.globalStep
  return true
}
