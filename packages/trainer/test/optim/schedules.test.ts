import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { createMetricSchedule, type MetricScheduleState } from '../../src/optim/metric-schedules.ts'
import type { MetricSchedulerType, ScheduleOptions, StepSchedulerType } from '../../src/optim/schedule-options.ts'
import { createSchedule } from '../../src/optim/schedules.ts'

interface Case {
  type: StepSchedulerType
  numWarmupSteps: number
  numTrainingSteps: number
  learningRate: number
  options: ScheduleOptions
  rates: number[]
}

interface MetricCase {
  type: MetricSchedulerType
  learningRate: number
  options: ScheduleOptions
  metrics: (number | null)[]
  rates: number[]
}

const fixture = <T>(name: string): T =>
  JSON.parse(readFileSync(new URL(`../fixtures/${name}.json`, import.meta.url), 'utf8'))
const cases = fixture<Case[]>('schedules')
const metricCases = fixture<MetricCase[]>('metric-schedules')
const steps = { numWarmupSteps: 4, numTrainingSteps: 20, learningRate: 1e-3 }

describe('schedules', () => {
  for (const { type, options, rates, ...numbers } of cases) {
    const title = `${type} ${JSON.stringify({ ...numbers, ...options })}`
    test(`give HF's get_scheduler rates, also past the last step: ${title}`, () => {
      const schedule = createSchedule(type, numbers, options)
      const ours = rates.map((_, step) => numbers.learningRate * schedule(step))
      expect(ours).toBeAllclose(rates, { atol: 1e-15, rtol: 1e-12 })
    })
  }

  test('noam peaks at the last warm-up step and follows equation 3 of the 2017 paper', () => {
    const schedule = createSchedule('noam', { ...steps, numWarmupSteps: 4000 }, { hiddenSize: 512 })
    expect(schedule(3999)).toBeCloseTo(512 ** -0.5 * 4000 ** -0.5, 15)
    expect(schedule(99)).toBeCloseTo(512 ** -0.5 * 100 * 4000 ** -1.5, 15)
    expect(schedule(15_999)).toBeCloseTo(512 ** -0.5 * 16_000 ** -0.5, 15)
  })

  test('say which number is wrong', () => {
    const make =
      (type: string, options: ScheduleOptions = {}, other = {}) =>
      () =>
        createSchedule(type as StepSchedulerType, { ...steps, ...other }, options)
    const types =
      'linear, cosine, cosine_with_restarts, cosine_with_min_lr, cosine_warmup_with_min_lr, polynomial, constant, ' +
      'constant_with_warmup, inverse_sqrt, warmup_stable_decay, noam'
    expect(make('cosin')).toThrow(
      `createSchedule: type is "cosin", expected one of ${types}. Those that follow a metric are made by createMetricSchedule.`,
    )
    expect(make('linear', {}, { numWarmupSteps: -1 })).toThrow(
      'createSchedule: numWarmupSteps is -1, expected a finite number at least 0.',
    )
    expect(make('linear', {}, { numTrainingSteps: Number.NaN })).toThrow(
      'createSchedule: numTrainingSteps is NaN, expected a finite number at least 1.',
    )
    for (const [type, options] of [
      ['polynomial', { lrEnd: 1 }],
      ['cosine_with_min_lr', { minLr: 1 }],
    ] as const) {
      expect(make(type, options)).toThrow(
        `createSchedule: ${Object.keys(options)[0]} is 1, expected a finite number at least 0 and at most 0.001. ` +
          'Take one that is not above the learning rate.',
      )
    }
    expect(make('cosine_warmup_with_min_lr')).toThrow(
      'createSchedule: minLrRate is undefined, expected a part of the highest learning rate for cosine_warmup_with_min_lr. ' +
        'Set it, say to 0.1, or set minLr.',
    )
    expect(make('cosine_with_min_lr', { minLr: 1e-5, minLrRate: 0.1 })).toThrow(
      'createSchedule: minLr is 0.00001 and minLrRate 0.1, expected one of them. Leave the other out.',
    )
    expect(make('inverse_sqrt', { timescale: 0 })).toThrow(
      'createSchedule: timescale is 0, expected a finite number above 0. Change it or leave it out.',
    )
    expect(make('warmup_stable_decay')).toThrow(
      'createSchedule: numDecaySteps is undefined, expected a finite number at least 0 for warmup_stable_decay. Set it.',
    )
    expect(make('warmup_stable_decay', { numDecaySteps: 5, decayType: 'sqrt' } as unknown as ScheduleOptions)).toThrow(
      'createSchedule: decayType is "sqrt", expected one of linear, cosine, 1-sqrt. Change it or leave it out.',
    )
    expect(make('polynomial', {}, { learningRate: undefined })).toThrow(
      'learningRate is undefined, expected a finite number above 0.',
    )
    expect(make('cosine', { numCycles: '2' } as unknown as ScheduleOptions)).toThrow(
      'createSchedule: numCycles is "2", expected a finite number at least 0. Change it or leave it out.',
    )
    expect(make('cosine', { num_cycles: 2 } as ScheduleOptions)).toThrow(
      'createSchedule: num_cycles is no option of cosine, expected numCycles. Rename it or leave it out.',
    )
    expect(make('cosine_with_min_lr', { minLrRatio: 0.1 })).toThrow(
      'createSchedule: minLrRatio is no option of cosine_with_min_lr, expected one of numCycles, minLr, minLrRate. ' +
        'Leave it out, or choose warmup_stable_decay.',
    )
    expect(make('linear', { power: 2 })).toThrow(
      'createSchedule: power is no option of linear, expected none. Leave it out, or choose polynomial.',
    )
    expect(make('noam')).toThrow(
      'createSchedule: hiddenSize is undefined, expected an integer at least 1 for noam. Set it.',
    )
    expect(make('noam', { hiddenSize: 8 }, { numWarmupSteps: 0 })).toThrow(
      'createSchedule: numWarmupSteps is 0, expected a finite number at least 1. The schedule noam rises first.',
    )
  })
})

describe('schedules that follow a metric', () => {
  const read = (metrics: (number | null)[]): number[] => metrics.map(metric => metric ?? Number.NaN)

  for (const { type, learningRate, options, metrics, rates } of metricCases) {
    test(`give HF's rates, also when they go on from a saved state: ${type} ${JSON.stringify(options)}`, () => {
      const whole = createMetricSchedule(type, learningRate, options)
      let parted = createMetricSchedule(type, learningRate, options)
      const [ours, resumed] = [[whole.learningRate], [parted.learningRate]]
      for (const metric of read(metrics)) {
        whole.step(metric)
        ours.push(whole.learningRate)
        const state = parted.stateDict()
        parted = createMetricSchedule(type, learningRate, options)
        parted.loadStateDict(state)
        parted.step(metric)
        resumed.push(parted.learningRate)
      }
      expect(ours).toBeAllclose(rates, { atol: 1e-15, rtol: 1e-12 })
      expect(resumed).toEqual(ours)
    })
  }

  test('say what is wrong', () => {
    const make = (type: string, options: object = {}) => createMetricSchedule(type as MetricSchedulerType, 1, options)
    expect(() => make('plateau')).toThrow(
      'createMetricSchedule: type is "plateau", expected one of reduce_lr_on_plateau, greedy. ' +
        'Those that follow the steps are made by createSchedule.',
    )
    expect(() => make('reduce_lr_on_plateau', { factor: 1 })).toThrow(
      'createMetricSchedule: factor is 1, expected a finite number above 0 and below 1. Change it or leave it out.',
    )
    expect(() => make('reduce_lr_on_plateau', { smooth: true })).toThrow(
      'createMetricSchedule: smooth is no option of reduce_lr_on_plateau, expected one of mode, factor, patience, ' +
        'threshold, thresholdMode, cooldown, minLr, eps. Leave it out, or choose greedy.',
    )
    expect(() => make('greedy', { smooth: 1 })).toThrow('createMetricSchedule: smooth is 1, expected true or false.')
    expect(() => make('greedy', { mode: 'less' })).toThrow(
      'createMetricSchedule: mode is "less", expected one of min, max. Change it or leave it out.',
    )
    const load = (state: MetricScheduleState) => () => make('greedy').loadStateDict(state, 'checkpoint-5')
    expect(load({})).toThrow(
      'checkpoint-5: learningRate of the schedule is undefined, expected a number. The state is damaged, or of another schedule.',
    )
    expect(load({ ...make('greedy').stateDict(), window: 3 })).toThrow(
      'checkpoint-5: window of the schedule is 3, expected a list of numbers.',
    )
  })
})
