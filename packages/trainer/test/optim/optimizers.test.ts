import { readFileSync } from 'node:fs'
import { tf } from '@heed/tensor-backend'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Adafactor } from '../../src/optim/adafactor.ts'
import { AdamW } from '../../src/optim/adamw.ts'
import { CombinedOptimizer } from '../../src/optim/combined-optimizer.ts'
import { gradientNorm } from '../../src/optim/gradient-clipping.ts'
import { Lion } from '../../src/optim/lion.ts'
import { Muon, suitsMuon } from '../../src/optim/muon.ts'
import type { NamedParameter, Optimizer } from '../../src/optim/optimizer.ts'
import { Sgd } from '../../src/optim/sgd.ts'
import { WeightAverage } from '../../src/optim/weight-average.ts'
import { hasWeightDecay } from '../../src/optim/weight-decay.ts'

type Values = Record<string, number[] | number[][]>
interface Run {
  start: Values
  gradients: Values[]
  norms: number[]
  end: Values
  ema: Values
}
interface Fixture {
  emaDecay: number
  maxNorm: number
  rates: number[]
  cases: Record<string, Run>
  /** Runs in which the matrix has no gradient in some steps. */
  sparse: Record<string, Run>
}
const fixture: Fixture = JSON.parse(readFileSync(new URL('../fixtures/optimizers.json', import.meta.url), 'utf8'))

const make: Record<string, (parameters: NamedParameter[]) => Optimizer> = {
  adamw: parameters => new AdamW(parameters, { beta1: 0.8, beta2: 0.95, eps: 1e-6, weightDecay: 0.1 }),
  sgd: parameters => new Sgd(parameters, { weightDecay: 0.1 }),
  'sgd-momentum': parameters => new Sgd(parameters, { momentum: 0.9, weightDecay: 0.1 }),
  lion: parameters => new Lion(parameters, { beta1: 0.8, beta2: 0.95, weightDecay: 0.1 }),
  adafactor: parameters => new Adafactor(parameters, { weightDecay: 0.1 }),
  muon: ([matrix, vector]) =>
    new CombinedOptimizer([
      new Muon([matrix!], { momentum: 0.9, weightDecay: 0.1 }),
      new AdamW([vector!], { beta1: 0.8, beta2: 0.95, eps: 1e-6 }),
    ]),
}

const variables = (values: Values): NamedParameter[] =>
  Object.entries(values).map(([name, value]) => [name, tf.variable(tf.tensor(value))])

/** Steps `from` to `to` of a recorded run; the norms before clipping. */
function advance(optimizer: Optimizer, run: Run, from: number, to: number): number[] {
  const norms: number[] = []
  for (let step = from; step < to; step++) {
    const gradients = new Map(Object.entries(run.gradients[step]!).map(([name, value]) => [name, tf.tensor(value)]))
    const norm = gradientNorm(gradients)
    optimizer.step(gradients, {
      learningRate: fixture.rates[step % fixture.rates.length]!,
      clip: { norm, maxNorm: fixture.maxNorm },
    })
    norms.push(norm.dataSync()[0]!)
    tf.dispose([norm, ...gradients.values()])
  }
  return norms
}

/** The weights are those that torch ends a recorded run with. */
function expectEnd(parameters: NamedParameter[], run: Run): void {
  for (const [key, value] of parameters)
    expect(value.dataSync()).toBeAllclose(run.end[key]!.flat(), { atol: 1e-6, rtol: 1e-5 })
}

let numTensors = 0
beforeEach(() => {
  numTensors = tf.memory().numTensors
})
afterEach(() => {
  expect(tf.memory().numTensors).toBe(numTensors)
})

const averaging: Record<string, (parameters: NamedParameter[]) => Optimizer> = {
  'adamw with averages': parameters => new WeightAverage(make.adamw!(parameters), parameters, fixture.emaDecay),
}

describe.each(Object.entries({ ...make, ...averaging }))('%s', (name, create) => {
  const run = fixture.cases[name.split(' ')[0]!]!

  const check = (parameters: NamedParameter[]): void => {
    expectEnd(parameters, run)
  }

  test('ten clipped steps give the weights and norms of the reference', () => {
    const parameters = tf.tidy(() => variables(run.start))
    const optimizer = create(parameters)
    expect(advance(optimizer, run, 0, 10)).toBeAllclose(run.norms, { atol: 0, rtol: 1e-6 })
    check(parameters)
    optimizer.dispose()
    tf.dispose(parameters.map(([, value]) => value))
  })

  test('a state saved in the middle and loaded into a new optimizer goes on bit for bit', () => {
    const whole = tf.tidy(() => variables(run.start))
    const parted = tf.tidy(() => variables(run.start))
    const [first, second, reference] = [create(parted), create(parted), create(whole)]
    advance(reference, run, 0, 10)
    advance(first, run, 0, 4)
    second.loadStateDict(first.stateDict(), first.stepCount)
    expect(second.stepCount).toBe(4)
    advance(second, run, 4, 10)
    for (const [index, [, value]] of parted.entries()) expect(value.dataSync()).toEqual(whole[index]![1].dataSync())
    for (const optimizer of [first, second, reference]) optimizer.dispose()
    tf.dispose([...whole, ...parted].map(([, value]) => value))
  })
})

test.each(Object.entries(fixture.sparse))(
  '%s: a parameter counts the steps in which it has a gradient, also after a restart',
  (name, run) => {
    const parameters = tf.tidy(() => variables(run.start))
    const [first, second] = [make[name]!(parameters), make[name]!(parameters)]
    const norms = advance(first, run, 0, 5)
    second.loadStateDict(first.stateDict(), first.stepCount)
    norms.push(...advance(second, run, 5, 10))
    expect(norms).toBeAllclose(run.norms, { atol: 0, rtol: 1e-6 })
    expectEnd(parameters, run)
    for (const optimizer of [first, second]) optimizer.dispose()
    tf.dispose(parameters.map(([, value]) => value))
  },
)

test('a state without the steps of each parameter, as older checkpoints have it, counts all alike', () => {
  const run = fixture.cases.adamw!
  const parameters = tf.tidy(() => variables(run.start))
  const [first, second] = [make.adamw!(parameters), make.adamw!(parameters)]
  advance(first, run, 0, 4)
  const older = [...first.stateDict()].filter(([name]) => !name.startsWith('step.'))
  second.loadStateDict(new Map(older), first.stepCount)
  advance(second, run, 4, 10)
  expectEnd(parameters, run)
  for (const optimizer of [first, second]) optimizer.dispose()
  tf.dispose(parameters.map(([, value]) => value))
})

test('averages of the weights are those of torch, and change places with the weights and back', () => {
  const run = fixture.cases.adamw!
  const parameters = tf.tidy(() => variables(run.start))
  const optimizer = new WeightAverage(make.adamw!(parameters), parameters, fixture.emaDecay)
  const values = (): number[] => parameters.flatMap(([, value]) => [...value.dataSync()])
  optimizer.apply() // before the first step there is nothing to take
  expect(values()).toEqual(Object.values(run.start).flat(2))
  advance(optimizer, run, 0, 10)
  const own = values()
  optimizer.apply()
  expect(values()).toBeAllclose(Object.values(run.ema).flat(2), { atol: 1e-6, rtol: 1e-5 })
  optimizer.restore()
  expect(values()).toEqual(own)
  optimizer.dispose()
  tf.dispose(parameters.map(([, value]) => value))
})

test('Muon is for matrices inside the model, and says so', () => {
  const parameters = tf.tidy(() => variables({ matrix: [[1]], vector: [1] }))
  expect(() => new Muon(parameters)).toThrow('Muon: vector is of shape [1], expected a matrix. Give it to AdamW.')
  const matrix = parameters[0]![1]
  for (const name of ['model.layers.0.mlp.up_proj.weight', 'bert.encoder.layer.0.output.dense.weight'])
    expect(suitsMuon(name, matrix), name).toBe(true)
  for (const name of ['model.embed_tokens.weight', 'lm_head.weight', 'transformer.wte.weight', 'shared.weight'])
    expect(suitsMuon(name, matrix), name).toBe(false)
  expect(suitsMuon('norm', parameters[1]![1])).toBe(false)
  tf.dispose(parameters.map(([, value]) => value))
})

test('a parameter without a gradient stays as it was', () => {
  const parameters = tf.tidy(() => variables({ used: [1, 2], unused: [3, 4] }))
  const optimizer = new AdamW(parameters, { weightDecay: 0.5 })
  const gradient = tf.tensor([1, 1])
  optimizer.step(new Map([['used', gradient]]), { learningRate: 0.1 })
  expect(parameters[1]![1].arraySync()).toEqual([3, 4])
  expect(parameters[0]![1].arraySync()).toBeAllclose([0.9, 1.9], { atol: 1e-6, rtol: 0 })
  optimizer.dispose()
  tf.dispose([gradient, ...parameters.map(([, value]) => value)])
})

test('matrices decay; norms, biases and every 1-D parameter do not', () => {
  const [vector, matrix] = [tf.zeros([4]), tf.zeros([4, 4])]
  expect(hasWeightDecay('model.layers.0.self_attn.q_proj.weight', matrix)).toBe(true)
  expect(hasWeightDecay('model.embed_tokens.weight', matrix)).toBe(true)
  expect(hasWeightDecay('model.layers.0.input_layernorm.weight', vector)).toBe(false)
  expect(hasWeightDecay('transformer.h.0.ln_1.weight', vector)).toBe(false)
  expect(hasWeightDecay('bert.encoder.layer.0.output.dense.bias', vector)).toBe(false)
  expect(hasWeightDecay('encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight', matrix)).toBe(false)
  tf.dispose([vector, matrix])
})

test('settings outside their range and a foreign state are refused by name', () => {
  expect(() => new AdamW([], { beta1: 1 })).toThrow(
    'AdamW: beta1 is 1, expected a finite number at least 0 and below 1.',
  )
  expect(() => new AdamW([], { beta2: -0.1 })).toThrow(
    'AdamW: beta2 is -0.1, expected a finite number at least 0 and below 1.',
  )
  expect(() => new AdamW([], { eps: Number.NaN })).toThrow('AdamW: eps is NaN, expected a finite number at least 0.')
  expect(() => new AdamW([], { weightDecay: -1 })).toThrow(
    'AdamW: weightDecay is -1, expected a finite number at least 0.',
  )
  expect(() => new Lion([], { beta1: 1 })).toThrow('Lion: beta1 is 1, expected a finite number at least 0 and below 1.')
  expect(() => new Lion([], { beta2: 1 })).toThrow('Lion: beta2 is 1, expected a finite number at least 0 and below 1.')
  expect(() => new Adafactor([], { clipThreshold: 0 })).toThrow(
    'Adafactor: clipThreshold is 0, expected a finite number above 0.',
  )
  expect(() => new Adafactor([], { decayRate: 1 })).toThrow(
    'Adafactor: decayRate is 1, expected a finite number at most 0.',
  )
  expect(() => new Muon([], { momentum: 1 })).toThrow(
    'Muon: momentum is 1, expected a finite number at least 0 and below 1.',
  )
  expect(() => new Sgd([], { momentum: 2 })).toThrow(
    'Sgd: momentum is 2, expected a finite number at least 0 and below 1.',
  )
  expect(() => new Sgd([], { weightDecay: -1 })).toThrow('Sgd: weightDecay is -1, expected a finite number at least 0.')

  const parameters = tf.tidy(() => variables({ w: [1, 2] }))
  const optimizer = new AdamW(parameters)
  const other = tf.tensor([1, 2, 3])
  expect(() => optimizer.loadStateDict(new Map(), 1)).toThrow(
    'optimizer state: exp_avg.w is missing, expected shape [2]. The checkpoint is of another model or optimizer.',
  )
  expect(() => optimizer.loadStateDict(new Map([['exp_avg.w', other]]), 1)).toThrow(
    'optimizer state: exp_avg.w is of shape [3], expected shape [2]. The checkpoint is of another model or optimizer.',
  )
  expect(() => optimizer.loadStateDict(new Map([...optimizer.stateDict(), ['exp_avg.v', other]]), 1)).toThrow(
    'optimizer state: exp_avg.v is of shape [3], expected no such tensor. The checkpoint is of another model or optimizer.',
  )
  optimizer.dispose()
  tf.dispose([other, ...parameters.map(([, value]) => value)])
})
