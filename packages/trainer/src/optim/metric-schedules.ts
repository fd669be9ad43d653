import { HeedError, withoutUndefined } from '@heed/tensor-backend'
import { checkChoice, checkNumber, show } from '../checks.ts'
import {
  checkScheduleOptions,
  type MetricSchedulerType,
  metricSchedulerTypes,
  type ScheduleOptions,
} from './schedule-options.ts'

/** What a schedule keeps from one metric to the next; numbers may be infinite or NaN. */
export type MetricScheduleState = Readonly<Record<string, number | readonly number[]>>

/** A learning rate that follows a metric of the evaluations. */
export interface MetricSchedule {
  /** Of the steps until the next metric. */
  readonly learningRate: number
  /** Takes note of the metric of an evaluation. A NaN is never better. */
  step(metric: number): void
  stateDict(): MetricScheduleState
  /** Goes on from what `stateDict` gave; `where`, for messages, is the file it lay in. Throws HEED_STATE_DICT_MISMATCH. */
  loadStateDict(state: MetricScheduleState, where?: string): void
}

const where = 'createMetricSchedule'

/**
 * The schedule of that name, from a first learning rate on; same numbers as `torch.optim.lr_scheduler.ReduceLROnPlateau` and
 * HF's `GreedyLR`. Throws HEED_ARGUMENT_INVALID.
 */
export function createMetricSchedule(
  type: MetricSchedulerType,
  learningRate: number,
  options: ScheduleOptions = {},
): MetricSchedule {
  checkChoice(
    where,
    'type',
    type,
    metricSchedulerTypes,
    undefined,
    'Those that follow the steps are made by createSchedule.',
  )
  checkNumber(where, 'learningRate', learningRate, { min: 0 })
  checkScheduleOptions(type, options, { where })
  return type === 'greedy' ? new Greedy(learningRate, options) : new ReduceOnPlateau(learningRate, options)
}

type Settings<Name extends keyof ScheduleOptions> = Required<Pick<ScheduleOptions, Name>>
type Comparison = Settings<'mode' | 'threshold' | 'thresholdMode'>

function isBetter(metric: number, best: number, { mode, threshold, thresholdMode }: Comparison): boolean {
  const gain = mode === 'min' ? -threshold : threshold
  const bound = thresholdMode === 'rel' ? best * (1 + gain) : best + gain
  return mode === 'min' ? metric < bound : metric > bound
}

const worst = ({ mode }: Comparison): number => (mode === 'min' ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY)

/** A copy of the saved state with the names of `own`. Throws HEED_STATE_DICT_MISMATCH. */
function checkedState<State extends MetricScheduleState>(
  saved: MetricScheduleState,
  own: State,
  where = 'MetricSchedule',
): State {
  for (const [name, value] of Object.entries(own)) {
    const kind = Array.isArray(value) ? 'a list of numbers' : 'a number'
    const found = saved[name]
    if (Array.isArray(found) === Array.isArray(value) && [found].flat().every(each => typeof each === 'number'))
      continue
    throw new HeedError(
      'HEED_STATE_DICT_MISMATCH',
      `${where}: ${name} of the schedule is ${show(found)}, expected ${kind}. The state is damaged, or of another schedule.`,
    )
  }
  return Object.fromEntries(Object.keys(own).map(name => [name, structuredClone(saved[name])])) as State
}

/** A smaller learning rate when nothing has been better for more than `patience` metrics. */
class ReduceOnPlateau implements MetricSchedule {
  readonly #settings: Comparison & Settings<'factor' | 'patience' | 'cooldown' | 'minLr' | 'eps'>
  #state: { learningRate: number; best: number; numBadEpochs: number; cooldownCounter: number }

  constructor(learningRate: number, options: ScheduleOptions) {
    const comparison = { mode: 'min', threshold: 1e-4, thresholdMode: 'rel' } as const
    this.#settings = {
      ...comparison,
      factor: 0.1,
      patience: 10,
      cooldown: 0,
      minLr: 0,
      eps: 1e-8,
      ...withoutUndefined(options),
    }
    this.#state = { learningRate, best: worst(this.#settings), numBadEpochs: 0, cooldownCounter: 0 }
  }

  get learningRate(): number {
    return this.#state.learningRate
  }

  step(metric: number): void {
    const { factor, patience, cooldown, minLr, eps } = this.#settings
    const state = this.#state
    state.numBadEpochs += 1
    if (isBetter(metric, state.best, this.#settings)) Object.assign(state, { best: metric, numBadEpochs: 0 })
    if (state.cooldownCounter > 0) {
      state.cooldownCounter -= 1
      state.numBadEpochs = 0
    }
    if (state.numBadEpochs <= patience) return
    const less = Math.max(state.learningRate * factor, minLr)
    if (state.learningRate - less > eps) state.learningRate = less
    Object.assign(state, { cooldownCounter: cooldown, numBadEpochs: 0 })
  }

  stateDict(): MetricScheduleState {
    return { ...this.#state }
  }

  loadStateDict(state: MetricScheduleState, where?: string): void {
    this.#state = checkedState(state, this.#state, where)
  }
}

interface GreedyState {
  learningRate: number
  best: number
  numBadEpochs: number
  numGoodEpochs: number
  cooldownCounter: number
  warmupCounter: number
  /** Times that the lowest learning rate may still be too high. */
  resetStart: number
  /** The last metrics, with `smooth`, and their running sum. */
  window: number[]
  sum: number
}

/**
 * A larger learning rate while metrics get better, a smaller one when they do not, and all anew when even the lowest does not
 * help: GreedyLR (arXiv:2512.14527).
 */
class Greedy implements MetricSchedule {
  readonly #settings: Comparison &
    Settings<'factor' | 'patience' | 'cooldown' | 'warmup' | 'minLr' | 'maxLr' | 'eps'> &
    Settings<'smooth' | 'windowSize' | 'resetStart'>
  readonly #firstLearningRate: number
  #state: GreedyState

  constructor(learningRate: number, options: ScheduleOptions) {
    this.#settings = {
      ...{ mode: 'min', threshold: 1e-6, thresholdMode: 'abs', factor: 0.95, patience: 10, cooldown: 0, warmup: 0 },
      ...{ minLr: 1e-3, maxLr: 1, eps: 1e-8, smooth: false, windowSize: 50, resetStart: 500 },
      ...withoutUndefined(options),
    }
    this.#firstLearningRate = learningRate
    this.#state = this.#newState()
  }

  get learningRate(): number {
    return this.#state.learningRate
  }

  #newState(): GreedyState {
    return {
      learningRate: this.#firstLearningRate,
      best: worst(this.#settings),
      ...{ numBadEpochs: 0, numGoodEpochs: 0, cooldownCounter: 0, warmupCounter: 0 },
      resetStart: this.#settings.resetStart,
      ...{ window: [], sum: 0 },
    }
  }

  step(metric: number): void {
    const { patience, cooldown, warmup, smooth } = this.#settings
    const state = this.#state
    const current = smooth ? this.#smoothed(metric) : metric
    if (state.cooldownCounter > 0 || state.warmupCounter > 0) {
      state[state.cooldownCounter > 0 ? 'cooldownCounter' : 'warmupCounter'] -= 1
      Object.assign(state, { numBadEpochs: 0, numGoodEpochs: 0 })
      return
    }
    if (isBetter(current, state.best, this.#settings)) {
      Object.assign(state, { best: current, numBadEpochs: 0, numGoodEpochs: state.numGoodEpochs + 1 })
    } else Object.assign(state, { numBadEpochs: state.numBadEpochs + 1, numGoodEpochs: 0 })
    if (state.numGoodEpochs > patience) {
      this.#increase()
      Object.assign(state, { warmupCounter: warmup, numGoodEpochs: 0 })
    } else if (state.numBadEpochs > patience) {
      this.#reduce()
      Object.assign(state, { cooldownCounter: cooldown, numBadEpochs: 0 })
    }
  }

  #smoothed(metric: number): number {
    const state = this.#state
    state.window.push(metric)
    state.sum += metric
    if (state.window.length > this.#settings.windowSize) state.sum -= state.window.shift()!
    return state.sum / state.window.length
  }

  #increase(): void {
    const { factor, maxLr, eps, resetStart } = this.#settings
    const state = this.#state
    const more = Math.min(state.learningRate / factor, maxLr)
    if (more - state.learningRate > eps) state.learningRate = more
    state.resetStart = resetStart
  }

  #reduce(): void {
    const { factor, minLr, eps } = this.#settings
    const state = this.#state
    const less = Math.max(state.learningRate * factor, minLr)
    if (state.learningRate - less > eps) state.learningRate = less
    if (state.learningRate > minLr) return
    state.resetStart -= 1
    if (state.resetStart <= 0) Object.assign(state, this.#newState())
  }

  stateDict(): MetricScheduleState {
    return structuredClone({ ...this.#state })
  }

  loadStateDict(state: MetricScheduleState, where?: string): void {
    this.#state = checkedState(state, { ...this.#state }, where)
  }
}
