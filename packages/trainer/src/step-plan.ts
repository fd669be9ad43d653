import { HeedError } from '@heed/tensor-backend'
import { stepsOf, type TrainingArguments } from './arguments.ts'
import { isGreaterBetter } from './best-model.ts'
import { type BatchPlan, updatesPerEpoch } from './data/updates.ts'
import { createMetricSchedule, type MetricSchedule } from './optim/metric-schedules.ts'
import { followsMetric } from './optim/schedule-options.ts'
import { createSchedule } from './optim/schedules.ts'

export interface StepPlan {
  maxSteps: number
  /** Epochs begun by then; unlimited for a stream. */
  numTrainEpochs: number
  /** Step (0 for the first) -> its learning rate. */
  learningRateAt: (step: number) => number
  /** What the learning rate follows where that is not the step. */
  metricSchedule?: MetricSchedule
}

/** How many updates a run has, counted as HF's Trainer does, and the learning rate of each. Throws HEED_CONFIG_INVALID. */
export function planSteps<T>(args: TrainingArguments, plan: BatchPlan<T>): StepPlan {
  const perEpoch = updatesPerEpoch(plan)
  if (args.maxSteps <= 0 && perEpoch === undefined) {
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      `TrainingArguments: maxSteps is ${args.maxSteps}, expected at least 1 since trainDataset is a stream without a length. Set it.`,
    )
  }
  const maxSteps = args.maxSteps > 0 ? args.maxSteps : Math.ceil(args.numTrainEpochs * perEpoch!)
  const numWarmupSteps = stepsOf(args.warmupSteps, maxSteps) || Math.ceil(args.warmupRatio * maxSteps)
  return {
    maxSteps,
    numTrainEpochs: perEpoch === undefined ? Number.MAX_SAFE_INTEGER : Math.ceil(maxSteps / perEpoch),
    ...learningRates(args, maxSteps, numWarmupSteps),
  }
}

function learningRates(
  args: TrainingArguments,
  numTrainingSteps: number,
  numWarmupSteps: number,
): Pick<StepPlan, 'learningRateAt' | 'metricSchedule'> {
  const { lrSchedulerType: type, lrSchedulerKwargs: options, learningRate } = args
  if (followsMetric(type)) {
    const mode = isGreaterBetter(args) ? 'max' : 'min'
    const metricSchedule = createMetricSchedule(type, learningRate, { ...options, mode: options.mode ?? mode })
    return { metricSchedule, learningRateAt: () => metricSchedule.learningRate }
  }
  const schedule = createSchedule(type, { numWarmupSteps, numTrainingSteps, learningRate }, options)
  return { learningRateAt: step => learningRate * schedule(step) }
}
