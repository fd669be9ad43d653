import { readFileSync } from 'node:fs'
import { LlamaForCausalLM } from '@heed/llama'
import { init, tf } from '@heed/tensor-backend'
import { expect, test } from 'vitest'
import type { TrainingArguments } from '../src/arguments.ts'
import { Trainer } from '../src/trainer.ts'
import { type Rows, readTrajectory, rowsOf, trajectoryExamples, trajectoryFolder } from './trajectory-fixture.ts'

interface Run {
  args: Partial<TrainingArguments>
  steps: Array<{ loss: number; gradNorm: number; learningRate: number }>
  evalLosses: Array<{ step: number; evalLoss: number }>
  /** Of the last evaluation, of labels that are not smoothed. */
  plainLoss: number
}

const { evaluation, runs }: { evaluation: Rows; runs: Run[] } = JSON.parse(
  readFileSync(new URL('./fixtures/trainer-runs.json', import.meta.url), 'utf8'),
)
const examples = trajectoryExamples(readTrajectory('llama'))
const evaluated = rowsOf([evaluation])

test.each(runs)("a run with $args gives what HF's Trainer logs", async ({ args, steps, evalLosses, plainLoss }) => {
  await init()
  const model = await LlamaForCausalLM.fromPretrained(trajectoryFolder('llama'))
  const trainer = new Trainer({
    model,
    args: {
      ...{ perDeviceTrainBatchSize: 2, gradientAccumulationSteps: 2, perDeviceEvalBatchSize: 4, weightDecay: 0.1 },
      ...{ loggingSteps: 1, evalStrategy: 'steps', evalSteps: 1, shuffle: false, ...args },
    },
    trainDataset: { length: examples.length, get: index => examples[index]! },
    evalDataset: { length: evaluated.length, get: index => evaluated[index]! },
  })
  await trainer.train()
  model.dispose()
  expect(tf.memory().numTensors).toBe(0)
  const { logHistory } = trainer.state
  const close = { atol: 2e-4, rtol: 2e-4 }
  const logs = logHistory.filter(({ loss }) => loss !== undefined)
  expect(logs.map(({ learningRate }) => learningRate)).toBeAllclose(
    steps.map(({ learningRate }) => learningRate),
    { atol: 1e-12 },
  )
  for (const key of ['loss', 'gradNorm'] as const)
    expect(logs.map(log => log[key]!)).toBeAllclose(steps.map(step => step[key]), close) // biome-ignore format: one line
  const evaluations = logHistory.filter(({ evalLoss }) => evalLoss !== undefined)
  expect(evaluations.map(({ step }) => step)).toEqual(evalLosses.map(({ step }) => step))
  expect(evaluations.map(({ evalLoss }) => evalLoss!)).toBeAllclose(evalLosses.map(({ evalLoss }) => evalLoss), close) // biome-ignore format: one line
  expect(Math.log(evaluations.at(-1)!.evalPerplexity!)).toBeCloseTo(plainLoss, 3)
})
