import { HeedError, type HeedErrorCode } from '@heed/tensor-backend'
import { checkChoice, checkNumber, describeNumber, type NumberRule, show } from '../checks.ts'

/** Those that know the learning rate of each step beforehand: HF's, and `noam`, the schedule of the 2017 Transformer. */
export const stepSchedulerTypes = [
  'linear',
  'cosine',
  'cosine_with_restarts',
  'cosine_with_min_lr',
  'cosine_warmup_with_min_lr',
  'polynomial',
  'constant',
  'constant_with_warmup',
  'inverse_sqrt',
  'warmup_stable_decay',
  'noam',
] as const

/** Those that follow a metric of the evaluations. */
export const metricSchedulerTypes = ['reduce_lr_on_plateau', 'greedy'] as const

/** HF's `SchedulerType` names, and `noam`. */
export const schedulerTypes: readonly SchedulerType[] = [...stepSchedulerTypes, ...metricSchedulerTypes]

export type StepSchedulerType = (typeof stepSchedulerTypes)[number]
export type MetricSchedulerType = (typeof metricSchedulerTypes)[number]
export type SchedulerType = StepSchedulerType | MetricSchedulerType

/** Whether the schedule follows a metric of the evaluations. */
export const followsMetric = (type: SchedulerType): type is MetricSchedulerType =>
  metricSchedulerTypes.some(each => each === type)

/** What single schedules take beyond the numbers of steps; HF's `lr_scheduler_kwargs` in camelCase. */
export interface ScheduleOptions {
  /** Waves of a cosine: 0.5 falls once from 1 to 0. For `cosine_with_restarts` the number of restarts, 1 by default. */
  numCycles?: number
  /** Of `polynomial`: the exponent (1) and the learning rate at the end (1e-7). */
  power?: number
  lrEnd?: number
  /** Of `cosine_with_min_lr` and `cosine_warmup_with_min_lr`: the lowest learning rate as a part of the highest. */
  minLrRate?: number
  /** The lowest learning rate: of those two in place of `minLrRate`; of `reduce_lr_on_plateau` 0 by default, of `greedy` 1e-3. */
  minLr?: number
  /** Of `cosine_warmup_with_min_lr`: the first learning rate as a part of the highest; one step of the warm-up by default. */
  warmupLrRate?: number
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
  /** Of those that follow a metric: whether less of it is better, or more. A Trainer knows by `greaterIsBetter`; else `min`. */
  mode?: 'min' | 'max'
  /** What the learning rate is multiplied by, below 1: 0.1; of `greedy` 0.95, which also divides it. */
  factor?: number
  /** Evaluations in a row that may bring nothing better; 10. Of `greedy` also those that may bring something better. */
  patience?: number
  /** What counts as better: by more than this part of the best (`rel`), or than this (`abs`). 1e-4, `rel`; of `greedy` 1e-6, `abs`. */
  threshold?: number
  thresholdMode?: 'rel' | 'abs'
  /** Evaluations after a smaller learning rate that do not count; 0. */
  cooldown?: number
  /** A smaller change of the learning rate is not made; 1e-8. */
  eps?: number
  /** Of `greedy`: evaluations after a larger learning rate that do not count; 0. */
  warmup?: number
  /** Of `greedy`: the highest learning rate; 1. */
  maxLr?: number
  /** Of `greedy`: whether to take the mean of the last `windowSize` (50) metrics in place of each. */
  smooth?: boolean
  windowSize?: number
  /** Of `greedy`: times that the lowest learning rate is too high before all begins anew; 500. */
  resetStart?: number
}

type OptionName = keyof ScheduleOptions

const ofPlateau = ['mode', 'factor', 'patience', 'threshold', 'thresholdMode', 'cooldown', 'minLr', 'eps'] as const

/** What each schedule takes of `ScheduleOptions`. */
const optionsOf: Record<SchedulerType, readonly OptionName[]> = {
  linear: [],
  cosine: ['numCycles'],
  cosine_with_restarts: ['numCycles'],
  cosine_with_min_lr: ['numCycles', 'minLr', 'minLrRate'],
  cosine_warmup_with_min_lr: ['numCycles', 'minLr', 'minLrRate', 'warmupLrRate'],
  polynomial: ['power', 'lrEnd'],
  constant: [],
  constant_with_warmup: [],
  inverse_sqrt: ['timescale'],
  warmup_stable_decay: ['numDecaySteps', 'numStableSteps', 'warmupType', 'decayType', 'minLrRatio', 'numCycles'],
  noam: ['hiddenSize'],
  reduce_lr_on_plateau: ofPlateau,
  greedy: [...ofPlateau, 'warmup', 'maxLr', 'smooth', 'windowSize', 'resetStart'],
}

/** What each option may be: a number, one of some names, or true or false. */
const rules: Record<OptionName, NumberRule | readonly string[] | 'switch'> = {
  numCycles: { min: 0 },
  power: { min: 0 },
  lrEnd: { min: 0 },
  minLrRate: { min: 0, max: 1 },
  minLr: { min: 0 },
  warmupLrRate: { min: 0, max: 1 },
  timescale: { above: 0 },
  numDecaySteps: { min: 0 },
  numStableSteps: { min: 0 },
  warmupType: ['linear', 'cosine', '1-sqrt'],
  decayType: ['linear', 'cosine', '1-sqrt'],
  minLrRatio: { min: 0, max: 1 },
  hiddenSize: { min: 1, isInteger: true },
  mode: ['min', 'max'],
  factor: { above: 0, below: 1 },
  patience: { min: 0, isInteger: true },
  threshold: { min: 0 },
  thresholdMode: ['rel', 'abs'],
  cooldown: { min: 0, isInteger: true },
  eps: { min: 0 },
  warmup: { min: 0, isInteger: true },
  maxLr: { above: 0 },
  smooth: 'switch',
  windowSize: { min: 1, isInteger: true },
  resetStart: { min: 0, isInteger: true },
}

/** Those without which a schedule cannot be. */
const needed: Partial<Record<SchedulerType, OptionName>> = {
  warmup_stable_decay: 'numDecaySteps',
  noam: 'hiddenSize',
}

/** Who checks: where the options stand, and with what before their names. */
interface Place {
  where: string
  prefix?: string
  code?: HeedErrorCode
}

/** Throws `code` at an option that the schedule does not take, that is out of its range, or that is missing. */
export function checkScheduleOptions(
  type: SchedulerType,
  options: ScheduleOptions,
  { where, prefix = '', code = 'HEED_ARGUMENT_INVALID' }: Place,
): void {
  const invalid = (text: string): HeedError => new HeedError(code, `${where}: ${prefix}${text}`)
  const known = optionsOf[type]
  for (const [name, value] of Object.entries(options) as [OptionName, unknown][]) {
    if (!known.includes(name)) {
      const expected = known.length > 1 ? `one of ${known.join(', ')}` : (known[0] ?? 'none')
      const takers = schedulerTypes.filter(each => optionsOf[each].includes(name))
      const mend = takers.length > 0 ? `Leave it out, or choose ${takers.join(' or ')}.` : 'Rename it or leave it out.'
      throw invalid(`${name} is no option of ${type}, expected ${expected}. ${mend}`)
    }
    if (value !== undefined) check(where, prefix + name, value, rules[name], code)
  }
  const missing = needed[type]
  if (missing && options[missing] === undefined) {
    throw invalid(
      `${missing} is undefined, expected ${describeNumber(rules[missing] as NumberRule)} for ${type}. Set it.`,
    )
  }
  if (!known.includes('minLrRate')) return
  const { minLr, minLrRate } = options
  if (minLr === undefined && minLrRate === undefined) {
    throw invalid(
      `minLrRate is undefined, expected a part of the highest learning rate for ${type}. Set it, say to 0.1, or set minLr.`,
    )
  }
  if (minLr !== undefined && minLrRate !== undefined) {
    throw invalid(`minLr is ${minLr} and minLrRate ${minLrRate}, expected one of them. Leave the other out.`)
  }
}

function check(
  where: string,
  name: string,
  value: unknown,
  rule: NumberRule | readonly string[] | 'switch',
  code: HeedErrorCode,
): void {
  const mend = 'Change it or leave it out.'
  if (rule === 'switch') {
    if (typeof value === 'boolean') return
    throw new HeedError(code, `${where}: ${name} is ${show(value)}, expected true or false. ${mend}`)
  }
  if ('length' in rule) checkChoice(where, name, value, rule, code, mend)
  else checkNumber(where, name, value, rule, code, mend)
}
