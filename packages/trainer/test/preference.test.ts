import { readFileSync } from 'node:fs'
import { Module } from '@heed/layers'
import { LlamaForCausalLM, llamaConfig } from '@heed/llama'
import { crossEntropy, init, tf, variableGradients } from '@heed/tensor-backend'
import { beforeAll, expect, test } from 'vitest'
import { preferenceCollator } from '../src/data/preference-pairs.ts'
import { DistilledModel } from '../src/distillation.ts'
import { LoraModel } from '../src/lora.ts'
import type { ModelInputs, TrainingOutput } from '../src/model.ts'
import { DpoModel } from '../src/preference.ts'
import { Trainer } from '../src/trainer.ts'
import { weightsOf } from './tiny-model.ts'

interface Case {
  loss: number
  gradient: number[]
}
type Logits = number[][][]
const fixture: {
  logits: Logits
  other: Logits
  labels: number[][]
  dpo: Array<Case & { beta: number; smoothing: number }>
  distillation: Array<Case & { temperature: number; alpha: number; shift: 0 | 1 }>
} = JSON.parse(readFileSync(new URL('./fixtures/preference.json', import.meta.url), 'utf8'))

beforeAll(async () => {
  await init()
})

/** A model whose weights are its logits. */
class Table extends Module {
  readonly logits
  constructor(
    values: Logits,
    readonly shift: 0 | 1 = 1,
  ) {
    super()
    this.logits = this.parameter('logits', tf.tensor(values))
  }

  forward({ labels }: ModelInputs): TrainingOutput {
    const logits = tf.mul(this.logits, 1)
    if (!labels) return { logits }
    const [rows, seqLen, vocabSize] = logits.shape as [number, number, number]
    if (!this.shift) return { logits, loss: crossEntropy(logits, labels) }
    const predicted = tf.slice(logits, [0, 0, 0], [rows, seqLen - 1, vocabSize])
    return { logits, loss: crossEntropy(predicted, tf.slice(labels, [0, 1], [rows, seqLen - 1])) }
  }
}

function expectLikeTorch(make: (own: Table, other: Table) => Module, { loss, gradient }: Case, shift: 0 | 1 = 1): void {
  const before = tf.memory().numTensors
  const [own, other] = [new Table(fixture.logits, shift), new Table(fixture.other, shift)]
  const model = make(own, other) as unknown as Table
  const labels = tf.tensor(fixture.labels, undefined, 'int32')
  const { value, gradients } = variableGradients(() => model.forward({ inputIds: labels, labels }).loss!, [own.logits])
  expect(value.dataSync()[0]).toBeCloseTo(loss, 5)
  expect(gradients.get(own.logits)!.dataSync()).toBeAllclose(gradient, { atol: 1e-6, rtol: 1e-4 })
  expect([...model.namedParameters()].map(([name]) => name)).toEqual(['logits'])
  tf.dispose([value, ...gradients.values(), labels])
  model.dispose()
  other.dispose()
  expect(tf.memory().numTensors).toBe(before)
}

test('DPO has the loss and the gradients of torch', () => {
  for (const { beta, smoothing, ...expected } of fixture.dpo) {
    expectLikeTorch((own, other) => new DpoModel(own, other, { beta, labelSmoothing: smoothing }), expected)
  }
})

test('distillation has the loss and the gradients of torch, causal or not', () => {
  for (const { temperature, alpha, shift, ...expected } of fixture.distillation) {
    const options = { temperature, alpha, labelShift: shift }
    expectLikeTorch((own, other) => new DistilledModel(own, other, options), expected, shift)
  }
})

test('pairs become a batch of preferred answers, then the others, in which only answers have labels', () => {
  const pairs = [
    { prompt: [1, 2], chosen: [3], rejected: [4, 5] },
    { prompt: [6], chosen: [7, 8, 9], rejected: [10] },
  ]
  const { inputs, labelShift, numLosses } = preferenceCollator({ padTokenId: 0 })(pairs, 1)
  const rows = ({ values, shape }: { values: ArrayLike<number>; shape: number[] }): number[][] =>
    Array.from({ length: shape[0]! }, (_, i) => Array.from(values).slice(i * shape[1]!, (i + 1) * shape[1]!))
  expect(rows(inputs.inputIds!)).toEqual([
    [1, 2, 3, 0],
    [6, 7, 8, 9],
    [1, 2, 4, 5],
    [6, 10, 0, 0],
  ])
  expect(rows(inputs.labels!)).toEqual([
    [-100, -100, 3, -100],
    [-100, 7, 8, 9],
    [-100, -100, 4, 5],
    [-100, 10, -100, -100],
  ])
  expect(rows(inputs.attentionMask!)[3]).toEqual([1, 1, 0, 0])
  expect([labelShift, numLosses]).toEqual([1, 2])
  expect(() => preferenceCollator({ padTokenId: 0 })([{ prompt: [], chosen: [1], rejected: [2] }], 1)).toThrow(
    'preferenceCollator: prompt is [], expected at least one token. Begin with a bos token.',
  )
  expect(() => preferenceCollator({ padTokenId: 0 })([{ prompt: [1], chosen: [], rejected: [2] }], 1)).toThrow(
    'preferenceCollator: chosen is [], expected at least one token.',
  )
})

test('a model trained by DPO comes to prefer the preferred answers, and its reference stays', async () => {
  const sizes = { vocabSize: 16, hiddenSize: 16, intermediateSize: 32, numHiddenLayers: 1, numAttentionHeads: 2 }
  const [model, reference] = [1, 1].map(seed => new LlamaForCausalLM(llamaConfig.complete(sizes), { seed })) as [
    LlamaForCausalLM,
    LlamaForCausalLM,
  ]
  const before = weightsOf(reference)
  const pairs = [5, 6, 7, 8].map(first => ({ prompt: [1, first], chosen: [2, first], rejected: [first, 2] }))
  const dpo = new DpoModel(model as never, reference as never)
  const trainer = new Trainer({
    model: dpo as never,
    args: {
      maxSteps: 20,
      learningRate: 0.01,
      perDeviceTrainBatchSize: 2,
      gradientAccumulationSteps: 2,
      loggingSteps: 1,
    },
    trainDataset: { length: pairs.length, get: index => pairs[index]! },
    collator: preferenceCollator({ padTokenId: 0 }),
  })
  await trainer.train()
  const losses = trainer.state.logHistory.flatMap(({ loss }) => (loss === undefined ? [] : [loss]))
  expect(losses[0]).toBeCloseTo(Math.log(2), 5)
  expect(losses.at(-1)).toBeLessThan(0.5)
  expect(weightsOf(reference)).toEqual(before)
  dpo.dispose()
  reference.dispose()
})

test('an odd number of rows, another vocabulary and settings out of range are refused', () => {
  const [own, other] = [new Table(fixture.logits), new Table(fixture.other.map(row => row.map(at => at.slice(1))))]
  const three = new Table(fixture.logits.slice(1))
  const labels = tf.tensor(fixture.labels, undefined, 'int32')
  expect(() => new DpoModel(three, own).forward({ inputIds: labels, labels })).toThrow(
    'DpoModel: inputIds have 3 rows, expected an even number: preferred answers, then the others. Use preferenceCollator.',
  )
  expect(() => new DistilledModel(own, other).forward({ inputIds: labels, labels })).toThrow(
    "DistilledModel: the teacher's logits are of shape [4, 6, 10], expected [4, 6, 11]. Take a teacher with the same vocabulary.",
  )
  expect(() => new DpoModel(own, other, { beta: 0 })).toThrow('DpoModel: beta is 0, expected a finite number above 0.')
  expect(() => new DistilledModel(own, other, { alpha: 2 })).toThrow(
    'DistilledModel: alpha is 2, expected a finite number at least 0 and at most 1.',
  )
  for (const table of [own, other, three]) table.dispose()
  labels.dispose()
})

test('a loss of its own is not smoothed away, and a model is not its own reference or teacher', () => {
  const [own, other] = [new Table(fixture.logits), new Table(fixture.other)]
  for (const model of [new DpoModel(own, other), new DistilledModel(own, other)]) {
    const rows = [{ inputIds: [1, 2] }]
    const trainDataset = { length: 1, get: () => rows[0]! }
    expect(() => new Trainer({ model, args: { labelSmoothingFactor: 0.1, maxSteps: 1 }, trainDataset })).toThrow(
      'TrainingArguments: labelSmoothingFactor is 0.1, expected 0 since the model has a loss of its own, which it would replace. Leave it out.',
    )
  }
  const end = 'with weights of its own, since one that learns along teaches nothing. Load it a second time.'
  expect(() => new DpoModel(own, own)).toThrow(
    `DpoModel: reference is the model itself, expected the model as it was before ${end}`,
  )
  expect(() => new DistilledModel(own, own)).toThrow(
    `DistilledModel: teacher is the model itself, expected another model ${end}`,
  )
  tf.dispose([own.logits, other.logits])
})

test('the base of adapters, and a model with the same weights, would learn along', () => {
  const sizes = { vocabSize: 16, hiddenSize: 16, intermediateSize: 32, numHiddenLayers: 1, numAttentionHeads: 2 }
  const base = new LlamaForCausalLM(llamaConfig.complete(sizes), { seed: 1 })
  const tied = { ...base, namedParameters: () => base.namedParameters() } as unknown as LlamaForCausalLM
  expect(() => new DistilledModel(base as never, tied as never)).toThrow(
    'DistilledModel: teacher has model.embed_tokens.weight of the model, expected another model with weights of its own',
  )
  const adapted = new LoraModel(base as never, { targetModules: ['q_proj'] })
  expect(() => new DpoModel(adapted as never, base as never)).toThrow(
    'DpoModel: reference is a part of the model, base_model.model, expected the model as it was before with weights of its own',
  )
  adapted.detach()
  base.dispose()
})
