import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { createSchedule, type ScheduleOptions, type SchedulerType } from '../../src/optim/schedules.ts'

interface Case {
  type: SchedulerType
  numWarmupSteps: number
  numTrainingSteps: number
  learningRate: number
  options: ScheduleOptions
  rates: number[]
}

const cases: Case[] = JSON.parse(readFileSync(new URL('../fixtures/schedules.json', import.meta.url), 'utf8'))
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
        createSchedule(type as SchedulerType, { ...steps, ...other }, options)
    expect(make('cosin')).toThrow(
      'createSchedule: type is "cosin", expected one of linear, cosine, cosine_with_restarts, cosine_with_min_lr, ' +
        'polynomial, constant, constant_with_warmup, inverse_sqrt, warmup_stable_decay, noam.',
    )
    expect(make('linear', {}, { numWarmupSteps: -1 })).toThrow(
      'createSchedule: numWarmupSteps is -1, expected a finite number at least 0.',
    )
    expect(make('linear', {}, { numTrainingSteps: Number.NaN })).toThrow(
      'createSchedule: numTrainingSteps is NaN, expected a finite number at least 1.',
    )
    expect(make('polynomial', { lrEnd: 1 })).toThrow(
      'createSchedule: lrEnd is 1, expected a finite number at least 0 and at most 0.001.',
    )
    expect(make('cosine_with_min_lr')).toThrow(
      'createSchedule: minLrRate is undefined, expected a finite number at least 0 and at most 1.',
    )
    expect(make('inverse_sqrt', { timescale: 0 })).toThrow(
      'createSchedule: timescale is 0, expected a finite number above 0.',
    )
    expect(make('warmup_stable_decay')).toThrow(
      'createSchedule: numDecaySteps is undefined, expected a finite number at least 0.',
    )
    expect(make('polynomial', {}, { learningRate: undefined })).toThrow(
      'learningRate is undefined, expected a finite number above 0.',
    )
    expect(make('cosine', { numCycles: '2' } as unknown as ScheduleOptions)).toThrow(
      'createSchedule: numCycles is "2", expected a finite number at least 0.',
    )
    expect(make('cosine', { num_cycles: 2 } as ScheduleOptions)).toThrow(
      'createSchedule: num_cycles is no option of cosine, expected numCycles.',
    )
    expect(make('cosine_with_min_lr', { minLrRatio: 0.1 })).toThrow(
      'createSchedule: minLrRatio is no option of cosine_with_min_lr, expected one of numCycles, minLrRate.',
    )
    expect(make('linear', { power: 2 })).toThrow('createSchedule: power is no option of linear, expected none.')
    expect(make('noam')).toThrow('createSchedule: hiddenSize is undefined, expected an integer at least 1.')
  })
})
