import { HeedError } from '@heed/tensor-backend'
import { stepsOf, type TrainingArguments } from './arguments.ts'
import { type BatchPlan, updatesPerEpoch } from './data/updates.ts'
import { createSchedule, type Schedule } from './optim/schedules.ts'

export interface StepPlan {
  maxSteps: number
  /** Epochs begun by then; unlimited for a stream. */
  numTrainEpochs: number
  schedule: Schedule
}

/** How many updates a run has, counted as HF's Trainer does, and the learning rate of each. Throws HEED_CONFIG_INVALID. */
export function planSteps<T>(args: TrainingArguments, plan: BatchPlan<T>): StepPlan {
  const perEpoch = updatesPerEpoch(plan)
  if (args.maxSteps <= 0 && perEpoch === undefined) {
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      `TrainingArguments: maxSteps is ${args.maxSteps}, expected at least 1 since trainDataset is a stream without a length.`,
    )
  }
  const maxSteps = args.maxSteps > 0 ? args.maxSteps : Math.ceil(args.numTrainEpochs * perEpoch!)
  const numWarmupSteps = stepsOf(args.warmupSteps, maxSteps) || Math.ceil(args.warmupRatio * maxSteps)
  const { lrSchedulerType, lrSchedulerKwargs, learningRate } = args
  const steps = { numWarmupSteps, numTrainingSteps: maxSteps, learningRate }
  return {
    maxSteps,
    numTrainEpochs: perEpoch === undefined ? Number.MAX_SAFE_INTEGER : Math.ceil(maxSteps / perEpoch),
    schedule: createSchedule(lrSchedulerType, steps, lrSchedulerKwargs),
  }
}
