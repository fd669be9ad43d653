import { checkChoice, checkNumber } from '../checks.ts'
import {
  checkScheduleOptions,
  type ScheduleOptions,
  type StepSchedulerType,
  stepSchedulerTypes,
} from './schedule-options.ts'

export interface ScheduleSteps {
  numWarmupSteps: number
  numTrainingSteps: number
  /** The peak; needed to know what part of it `lrEnd` of `polynomial` and `minLr` are. */
  learningRate: number
}

/** Step (0 for the first) -> the factor that the peak learning rate is multiplied by. */
export type Schedule = (step: number) => number

const where = 'createSchedule'
const notAbove = 'Take one that is not above the learning rate.'

/** The schedule of that name, with the numbers of HF's `get_scheduler`. Throws HEED_ARGUMENT_INVALID. */
export function createSchedule(type: StepSchedulerType, steps: ScheduleSteps, options: ScheduleOptions = {}): Schedule {
  checkChoice(
    where,
    'type',
    type,
    stepSchedulerTypes,
    undefined,
    'Those that follow a metric are made by createMetricSchedule.',
  )
  checkScheduleOptions(type, options, { where })
  checkNumber(where, 'numWarmupSteps', steps.numWarmupSteps, { min: 0 })
  checkNumber(where, 'numTrainingSteps', steps.numTrainingSteps, { min: 1 })
  const { numWarmupSteps } = steps
  switch (type) {
    case 'linear':
      return afterWarmup(steps, progress => Math.max(0, 1 - progress))
    case 'cosine':
      return afterWarmup(steps, progress => Math.max(0, cosineWave(progress, options.numCycles ?? 0.5)))
    case 'cosine_with_restarts':
      return afterWarmup(steps, progress => cosineWithRestarts(progress, options.numCycles ?? 1))
    case 'cosine_with_min_lr':
      return cosineWithMinimum(steps, options)
    case 'cosine_warmup_with_min_lr':
      return cosineWithWarmupRate(steps, options)
    case 'polynomial':
      return polynomial(steps, options)
    case 'constant':
      return () => 1
    case 'constant_with_warmup':
      return afterWarmup(steps, () => 1)
    case 'inverse_sqrt':
      return inverseSqrt(numWarmupSteps, options.timescale ?? (numWarmupSteps || 10_000))
    case 'warmup_stable_decay':
      return warmupStableDecay(steps, options)
    case 'noam':
      return noam(numWarmupSteps, options.hiddenSize)
  }
}

/** step / numWarmupSteps first; then `decay` of the progress, 0 at the end of the warm-up and 1 at the last step. */
function afterWarmup({ numWarmupSteps, numTrainingSteps }: ScheduleSteps, decay: Schedule): Schedule {
  return step =>
    step < numWarmupSteps
      ? step / Math.max(1, numWarmupSteps)
      : decay((step - numWarmupSteps) / Math.max(1, numTrainingSteps - numWarmupSteps))
}

const cosineWave = (progress: number, numCycles: number): number =>
  0.5 * (1 + Math.cos(Math.PI * numCycles * 2 * progress))

function cosineWithRestarts(progress: number, numCycles: number): number {
  return progress >= 1 ? 0 : 0.5 * (1 + Math.cos(Math.PI * ((numCycles * progress) % 1)))
}

function cosineWithMinimum(steps: ScheduleSteps, options: ScheduleOptions): Schedule {
  const lowest = lowestRate(steps, options)
  return afterWarmup(steps, progress => cosineWave(progress, options.numCycles ?? 0.5) * (1 - lowest) + lowest)
}

/** One step ahead of `cosineWithMinimum`: the first step learns already, and the last one at the lowest rate. */
function cosineWithWarmupRate(steps: ScheduleSteps, options: ScheduleOptions): Schedule {
  const { numWarmupSteps, numTrainingSteps } = steps
  const { numCycles = 0.5, warmupLrRate } = options
  const lowest = lowestRate(steps, options)
  return step => {
    if (step >= numWarmupSteps) {
      const progress = (step + 1 - numWarmupSteps) / Math.max(1, numTrainingSteps - numWarmupSteps)
      return cosineWave(progress, numCycles) * (1 - lowest) + lowest
    }
    if (warmupLrRate === undefined) return (step + 1) / Math.max(1, numWarmupSteps)
    return warmupLrRate + ((1 - warmupLrRate) * step) / Math.max(1, numWarmupSteps - 1)
  }
}

/** `minLrRate`, or `minLr` as a part of the learning rate. */
function lowestRate({ learningRate }: ScheduleSteps, { minLr, minLrRate }: ScheduleOptions): number {
  if (minLr === undefined) return minLrRate!
  checkNumber(where, 'learningRate', learningRate, { above: 0 })
  checkNumber(where, 'minLr', minLr, { min: 0, max: learningRate }, undefined, notAbove)
  return minLr / learningRate
}

function polynomial(steps: ScheduleSteps, { power = 1, lrEnd = 1e-7 }: ScheduleOptions): Schedule {
  const { learningRate } = steps
  checkNumber(where, 'learningRate', learningRate, { above: 0 })
  checkNumber(where, 'lrEnd', lrEnd, { min: 0, max: learningRate }, undefined, notAbove)
  return afterWarmup(steps, progress => {
    const left = Math.max(0, 1 - progress)
    return ((learningRate - lrEnd) * left ** power + lrEnd) / learningRate
  })
}

/** Zhai et al. 2021 (arXiv:2106.04560), section 3.5. */
function inverseSqrt(numWarmupSteps: number, timescale: number): Schedule {
  const shift = timescale - numWarmupSteps
  return step => (step < numWarmupSteps ? step / numWarmupSteps : 1 / Math.sqrt((step + shift) / timescale))
}

/** Hu et al. 2024 (arXiv:2404.06395), section 4.2: the rate stays high and falls only at the end. */
function warmupStableDecay({ numWarmupSteps, numTrainingSteps }: ScheduleSteps, options: ScheduleOptions): Schedule {
  const { numDecaySteps, warmupType = 'linear', decayType = 'cosine', minLrRatio = 0, numCycles = 0.5 } = options
  const decayStart = numWarmupSteps + (options.numStableSteps ?? numTrainingSteps - numWarmupSteps - numDecaySteps!)
  const rise = {
    linear: (progress: number) => progress,
    cosine: (progress: number) => 0.5 * (1 - Math.cos(Math.PI * progress)),
    '1-sqrt': (progress: number) => 1 - Math.sqrt(1 - progress),
  }[warmupType]
  const fall = {
    linear: (progress: number) => 1 - progress,
    cosine: (progress: number) => cosineWave(progress, numCycles),
    '1-sqrt': (progress: number) => 1 - Math.sqrt(progress),
  }[decayType]
  const aboveMinimum = (factor: number): number => Math.max(0, factor * (1 - minLrRatio) + minLrRatio)
  return step => {
    if (step < numWarmupSteps) return aboveMinimum(rise(step / Math.max(1, numWarmupSteps)))
    if (step < decayStart) return 1
    if (step < decayStart + numDecaySteps!) return aboveMinimum(fall((step - decayStart) / numDecaySteps!))
    return minLrRatio
  }
}

/** hiddenSize^-0.5 · min(step^-0.5, step · numWarmupSteps^-1.5), steps from 1. Vaswani et al. 2017, eq. 3; peak 1. */
function noam(numWarmupSteps: number, hiddenSize: number | undefined): Schedule {
  checkNumber(where, 'numWarmupSteps', numWarmupSteps, { min: 1 }, undefined, 'The schedule noam rises first.')
  return step => hiddenSize! ** -0.5 * Math.min((step + 1) ** -0.5, (step + 1) * numWarmupSteps ** -1.5)
}
