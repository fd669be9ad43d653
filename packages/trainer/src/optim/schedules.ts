import { HeedError } from '@heed/tensor-backend'
import { checkChoice, checkNumber } from '../checks.ts'

/** HF's `SchedulerType` names, and `noam`, the schedule of the 2017 Transformer. */
export const schedulerTypes = [
  'linear',
  'cosine',
  'cosine_with_restarts',
  'cosine_with_min_lr',
  'polynomial',
  'constant',
  'constant_with_warmup',
  'inverse_sqrt',
  'warmup_stable_decay',
  'noam',
] as const

export type SchedulerType = (typeof schedulerTypes)[number]

/** What single schedules take beyond the numbers of steps; HF's `lr_scheduler_kwargs` in camelCase. */
export interface ScheduleOptions {
  /** Waves of a cosine: 0.5 falls once from 1 to 0. For `cosine_with_restarts` the number of restarts, 1 by default. */
  numCycles?: number
  /** Of `polynomial`: the exponent (1) and the learning rate at the end (1e-7). */
  power?: number
  lrEnd?: number
  /** Of `cosine_with_min_lr`: the lowest learning rate as a part of the highest. */
  minLrRate?: number
  /** Of `inverse_sqrt`: the steps in which the rate falls to 1 / sqrt(2); the warm-up steps or, without, 10000. */
  timescale?: number
  /** Of `warmup_stable_decay`. */
  numDecaySteps?: number
  numStableSteps?: number
  warmupType?: 'linear' | 'cosine' | '1-sqrt'
  decayType?: 'linear' | 'cosine' | '1-sqrt'
  minLrRatio?: number
  /** Of `noam`: the model's hidden size. */
  hiddenSize?: number
}

export interface ScheduleSteps {
  numWarmupSteps: number
  numTrainingSteps: number
  /** The peak; only `polynomial` needs it, to know what part of it `lrEnd` is. */
  learningRate: number
}

/** Step (0 for the first) -> the factor that the peak learning rate is multiplied by. */
export type Schedule = (step: number) => number

const where = 'createSchedule'

/** What each schedule takes of `ScheduleOptions`. */
const optionsOf: Record<SchedulerType, readonly (keyof ScheduleOptions)[]> = {
  linear: [],
  cosine: ['numCycles'],
  cosine_with_restarts: ['numCycles'],
  cosine_with_min_lr: ['numCycles', 'minLrRate'],
  polynomial: ['power', 'lrEnd'],
  constant: [],
  constant_with_warmup: [],
  inverse_sqrt: ['timescale'],
  warmup_stable_decay: ['numDecaySteps', 'numStableSteps', 'warmupType', 'decayType', 'minLrRatio', 'numCycles'],
  noam: ['hiddenSize'],
}

/** Throws HEED_ARGUMENT_INVALID at an option that the schedule does not take, or that is no number where one must be. */
function checkOptions(type: SchedulerType, options: ScheduleOptions): void {
  const known = optionsOf[type]
  for (const [name, value] of Object.entries(options)) {
    const isKnown = known.some(each => each === name)
    if (!isKnown) {
      const expected = known.length > 1 ? `one of ${known.join(', ')}` : (known[0] ?? 'none')
      throw new HeedError('HEED_ARGUMENT_INVALID', `${where}: ${name} is no option of ${type}, expected ${expected}.`)
    }
    const isChoice = name === 'warmupType' || name === 'decayType'
    if (value !== undefined && !isChoice) checkNumber(where, name, value, { min: 0 })
  }
}

/** The schedule of that name, with the numbers of HF's `get_scheduler`. Throws HEED_ARGUMENT_INVALID. */
export function createSchedule(type: SchedulerType, steps: ScheduleSteps, options: ScheduleOptions = {}): Schedule {
  checkChoice(where, 'type', type, schedulerTypes)
  checkOptions(type, options)
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

function cosineWithMinimum(steps: ScheduleSteps, { minLrRate, numCycles = 0.5 }: ScheduleOptions): Schedule {
  checkNumber(where, 'minLrRate', minLrRate, { min: 0, max: 1 })
  return afterWarmup(steps, progress => cosineWave(progress, numCycles) * (1 - minLrRate!) + minLrRate!)
}

function polynomial(steps: ScheduleSteps, { power = 1, lrEnd = 1e-7 }: ScheduleOptions): Schedule {
  const { learningRate } = steps
  checkNumber(where, 'learningRate', learningRate, { above: 0 })
  checkNumber(where, 'lrEnd', lrEnd, { min: 0, max: learningRate })
  return afterWarmup(steps, progress => {
    const left = Math.max(0, 1 - progress)
    return ((learningRate - lrEnd) * left ** power + lrEnd) / learningRate
  })
}

/** Zhai et al. 2021 (arXiv:2106.04560), section 3.5. */
function inverseSqrt(numWarmupSteps: number, timescale: number): Schedule {
  checkNumber(where, 'timescale', timescale, { above: 0 })
  const shift = timescale - numWarmupSteps
  return step => (step < numWarmupSteps ? step / numWarmupSteps : 1 / Math.sqrt((step + shift) / timescale))
}

/** Hu et al. 2024 (arXiv:2404.06395), section 4.2: the rate stays high and falls only at the end. */
function warmupStableDecay({ numWarmupSteps, numTrainingSteps }: ScheduleSteps, options: ScheduleOptions): Schedule {
  const { numDecaySteps, warmupType = 'linear', decayType = 'cosine', minLrRatio = 0, numCycles = 0.5 } = options
  checkNumber(where, 'numDecaySteps', numDecaySteps, { min: 0 })
  const shapes = ['linear', 'cosine', '1-sqrt']
  checkChoice(where, 'warmupType', warmupType, shapes)
  checkChoice(where, 'decayType', decayType, shapes)
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
  checkNumber(where, 'hiddenSize', hiddenSize, { min: 1, isInteger: true })
  checkNumber(where, 'numWarmupSteps', numWarmupSteps, { min: 1 })
  return step => hiddenSize! ** -0.5 * Math.min((step + 1) ** -0.5, (step + 1) * numWarmupSteps ** -1.5)
}
