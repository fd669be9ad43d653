import { init, tf } from '@heed/tensor-backend'
import { beforeAll, expect, test } from 'vitest'
import type { TrainingArguments } from '../src/arguments.ts'
import { earlyStopping } from '../src/early-stopping.ts'
import { Trainer } from '../src/trainer.ts'
import { temporaryFolder } from './temporary-folder.ts'
import { TinyModel, tinyDataset } from './tiny-model.ts'

beforeAll(async () => {
  await init()
})

/** Steps that a run does whose evaluations give these metrics, one a step. */
async function stepsWith(
  values: number[],
  options: Parameters<typeof earlyStopping>[0],
  args: Partial<TrainingArguments> = {},
  resume = false,
): Promise<number> {
  class Scripted extends Trainer {
    override async evaluate(): Promise<Record<string, number>> {
      return { evalLoss: values[this.state.globalStep - 1]!, evalAccuracy: -values[this.state.globalStep - 1]! }
    }
  }
  const model = new TinyModel()
  const trainer = new Scripted({
    model,
    args: { perDeviceTrainBatchSize: 2, maxSteps: values.length, evalStrategy: 'steps', evalSteps: 1, ...args },
    trainDataset: tinyDataset(),
    evalDataset: tinyDataset(),
    callbacks: [earlyStopping(options)],
  })
  try {
    return (await trainer.train({ resumeFromCheckpoint: resume })).globalStep
  } finally {
    model.dispose()
  }
}

test('training stops after the patience is used up in a row', async () => {
  expect(await stepsWith([5, 4, 4.5, 3, 3.5, 3.2, 3.1, 2], { earlyStoppingPatience: 3 })).toBe(7)
  expect(await stepsWith([5, 4, 4.5, 3, 3.5, 3.2, 2, 1], { earlyStoppingPatience: 3 })).toBe(8)
  expect(await stepsWith([5, 6, 1], {})).toBe(2)
})

test('a gain below the threshold is none, and a metric of which more is better is followed upwards', async () => {
  expect(await stepsWith([5, 4.95, 4.9, 1], { earlyStoppingPatience: 2, earlyStoppingThreshold: 0.2 })).toBe(3)
  expect(await stepsWith([5, 4, 3, 3.5, 1], {}, { metricForBestModel: 'accuracy' })).toBe(4)
})

test('small gains one after the other are still none, as in HF, and a NaN is never the best', async () => {
  const options = { earlyStoppingPatience: 2, earlyStoppingThreshold: 0.2 }
  expect(await stepsWith([5, 4.9, 4.75, 1], options)).toBe(3)
  expect(await stepsWith([Number.NaN, 5, 4, 3, 3, 3, 1], { earlyStoppingPatience: 2 })).toBe(6)
})

test('without evaluations it would never stop, and says so', async () => {
  await expect(stepsWith([5, 6], {}, { evalStrategy: 'no' })).rejects.toThrow(
    'TrainingArguments: evalStrategy is "no", expected steps or epoch since earlyStopping looks at evaluations. Set it, or leave earlyStopping out.',
  )
})

test('a resumed run goes on counting where it was', async () => {
  const outputDir = temporaryFolder()
  const values = [5, 4, 6, 7, 8, 9, 9]
  const args = { outputDir, saveSteps: 1 }
  await stepsWith(values.slice(0, 4), { earlyStoppingPatience: 4 }, args)
  expect(await stepsWith(values, { earlyStoppingPatience: 4 }, args, true)).toBe(6)
  expect(tf.memory().numTensors).toBe(0)
})

test('a patience that can never be used up is refused', () => {
  expect(() => earlyStopping({ earlyStoppingPatience: 0 })).toThrow(
    'earlyStopping: earlyStoppingPatience is 0, expected an integer at least 1.',
  )
  expect(() => earlyStopping({ earlyStoppingThreshold: -1 })).toThrow(
    'earlyStopping: earlyStoppingThreshold is -1, expected a finite number at least 0.',
  )
})
