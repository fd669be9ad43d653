import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { init, tf } from '@heed/tensor-backend'
import { beforeAll, describe, expect, test } from 'vitest'
import type { TrainingArguments } from '../src/arguments.ts'
import { averageCheckpoints } from '../src/average-checkpoints.ts'
import type { TrainerCallback } from '../src/callbacks.ts'
import { loadAverages, loadWeights, readTrainerState } from '../src/checkpoint.ts'
import { Trainer } from '../src/trainer.ts'
import type { LogRecord } from '../src/trainer-state.ts'
import { temporaryFolder } from './temporary-folder.ts'
import { TinyModel, tinyDataset, weightsOf } from './tiny-model.ts'

beforeAll(async () => {
  await init()
})

const settings: Partial<TrainingArguments> = {
  perDeviceTrainBatchSize: 2,
  gradientAccumulationSteps: 2,
  numTrainEpochs: 2,
  learningRate: 0.01,
  lrSchedulerType: 'cosine',
  warmupSteps: 3,
  weightDecay: 0.1,
  loggingSteps: 3,
  evalStrategy: 'epoch',
  saveSteps: 5,
}

/** What of a log is the same in each run: not the times. */
function measured(history: LogRecord[]): Partial<LogRecord>[] {
  return history
    .filter(record => record.trainLoss === undefined)
    .map(({ step, loss, gradNorm, learningRate, epoch, evalLoss }) => ({
      step,
      loss,
      gradNorm,
      learningRate,
      epoch,
      evalLoss,
    }))
}

async function run(
  folder: string,
  extra: Partial<TrainingArguments> = {},
  stopAt?: number,
  resume = false,
  isStoppedInEvaluation = false,
) {
  const model = new TinyModel()
  const controller = new AbortController()
  const evalDataset = tinyDataset(100)
  const stop: TrainerCallback = {
    onStepEnd: ({ state }) => void (!isStoppedInEvaluation && state.globalStep === stopAt && controller.abort()),
  }
  const trainer: Trainer = new Trainer({
    model,
    args: { ...settings, outputDir: folder, ...extra },
    trainDataset: tinyDataset(),
    evalDataset: {
      length: evalDataset.length,
      get(index) {
        if (isStoppedInEvaluation && trainer.state.globalStep === stopAt) controller.abort()
        return evalDataset.get(index)
      },
    },
    callbacks: [stop],
  })
  try {
    const output = await trainer.train({ resumeFromCheckpoint: resume, signal: controller.signal })
    return { output, weights: weightsOf(model), history: trainer.state.logHistory, state: trainer.state }
  } finally {
    model.dispose()
  }
}

describe('a run that is stopped and resumed', () => {
  // 44 blocks of 9 tokens: 11 updates an epoch, 22 in all; 11 is the end of the first epoch.
  for (const stopAt of [1, 4, 5, 10, 11, 12, 17, 21]) {
    test(`at step ${stopAt} of 22 goes on to the same losses and weights, bit for bit`, async () => {
      const [whole, parted] = [temporaryFolder(), temporaryFolder()]
      const expected = await run(whole)
      const first = await run(parted, {}, stopAt)
      expect(first.output).toMatchObject({ globalStep: stopAt, isInterrupted: true })
      expect(first.output.checkpoint).toBe(`${parted}/checkpoint-${stopAt}`)
      const second = await run(parted, {}, undefined, true)
      expect(second.output).toMatchObject({ globalStep: 22, isInterrupted: false })
      expect(second.weights).toEqual(expected.weights)
      expect(measured(second.history)).toEqual(measured(expected.history))
      const lines = readFileSync(`${parted}/metrics.jsonl`, 'utf8')
        .trim()
        .split('\n')
        .map(line => JSON.parse(line))
      expect(lines.map(line => line.step)).toEqual(second.history.map(record => record.step))
      expect(tf.memory().numTensors).toBe(0)
    })
  }

  // Evaluated at each second step: a stop there, too, must not lose the evaluation.
  for (const stopAt of [3, 6, 10, 15]) {
    test(`at step ${stopAt} goes on to the same learning rates, which follow the evaluations`, async () => {
      const extra: Partial<TrainingArguments> = {
        ...{ lrSchedulerType: 'reduce_lr_on_plateau', warmupSteps: 0, evalStrategy: 'steps', evalSteps: 2 },
        ...{ learningRate: 0.1, lrSchedulerKwargs: { patience: 0, factor: 0.7, threshold: 0.05, cooldown: 1 } },
      }
      const [whole, parted] = [temporaryFolder(), temporaryFolder()]
      const expected = await run(whole, extra)
      await run(parted, extra, stopAt)
      const second = await run(parted, extra, undefined, true)
      expect(measured(second.history)).toEqual(measured(expected.history))
      expect(second.weights).toEqual(expected.weights)
      if (stopAt % 2 === 0) {
        const folder = temporaryFolder()
        expect((await run(folder, extra, stopAt, false, true)).output).toMatchObject({ isInterrupted: true })
        expect(measured((await run(folder, extra, undefined, true)).history)).toEqual(measured(expected.history))
      }
      const rates = new Set(second.history.flatMap(({ learningRate }) => learningRate ?? []))
      expect(rates.size).toBeGreaterThan(2)
    })
  }

  test.each<[string, Partial<TrainingArguments>]>([
    ['of steps', { evalStrategy: 'steps', evalSteps: 11 }],
    ['of an epoch', {}],
    [
      'of steps, which chooses the best weights',
      { evalStrategy: 'steps', evalSteps: 11, saveSteps: 11, loadBestModelAtEnd: true },
    ],
  ])('at its last step makes the evaluation %s when it goes on, once', async (_, extra) => {
    const expected = await run(temporaryFolder(), extra)
    for (const isStoppedInEvaluation of [false, true]) {
      const folder = temporaryFolder()
      const first = await run(folder, extra, 22, false, isStoppedInEvaluation)
      expect(first.output).toMatchObject({ globalStep: 22, isInterrupted: true })
      const second = await run(folder, extra, undefined, true)
      expect(second.output).toMatchObject({ globalStep: 22, isInterrupted: false })
      expect(measured(second.history)).toEqual(measured(expected.history))
      expect(second.weights).toEqual(expected.weights)
      const third = await run(folder, extra, undefined, true)
      expect(measured(third.history)).toEqual(measured(expected.history))
    }
  })

  test('twice, by SGD with momentum, gives what one run gives', async () => {
    const extra = { optim: 'sgd', momentum: 0.9 } as const
    const [whole, parted] = [temporaryFolder(), temporaryFolder()]
    const expected = await run(whole, extra)
    await run(parted, extra, 6)
    await run(parted, extra, 15, true)
    expect((await run(parted, extra, undefined, true)).weights).toEqual(expected.weights)
  })
})

test('a signal in the last step of a run that has nothing else to do stops nothing', async () => {
  const { output } = await run(temporaryFolder(), { evalStrategy: 'no' }, 22)
  expect(output).toMatchObject({ globalStep: 22, isInterrupted: false })
})

test('an evaluation that a run was stopped before is not made when the resumed run has none', async () => {
  const folder = temporaryFolder()
  await run(folder, { evalStrategy: 'steps', evalSteps: 4 }, 4)
  const { history } = await run(folder, { evalStrategy: 'no' }, undefined, true)
  expect(history.filter(({ evalLoss }) => evalLoss !== undefined)).toEqual([])
  expect(history.at(-1)!.step).toBe(22)
})

test('a checkpoint has the files of HF, and trainer_state.json the keys of HF', async () => {
  const folder = temporaryFolder()
  await run(folder, { maxSteps: 5 })
  expect(readdirSync(`${folder}/checkpoint-5`).sort()).toEqual([
    'config.json',
    'model.safetensors',
    'optimizer.safetensors',
    'resume_state.json',
    'trainer_state.json',
  ])
  const state = JSON.parse(readFileSync(`${folder}/checkpoint-5/trainer_state.json`, 'utf8'))
  expect(state).toMatchObject({ global_step: 5, max_steps: 5, num_train_epochs: 1, train_batch_size: 2 })
  expect(Object.keys(state.log_history[0]).sort()).toEqual([
    'epoch',
    'grad_norm',
    'learning_rate',
    'loss',
    'memory_bytes',
    'step',
    'tokens_per_second',
  ])
  const read = await readTrainerState(`${folder}/checkpoint-5`)
  expect(read).toMatchObject({ globalStep: 5, maxSteps: 5 })
  expect(read.logHistory.map(({ step, gradNorm }) => [step, gradNorm])).toEqual(
    state.log_history.map((record: Record<string, number>) => [record.step, record.grad_norm]),
  )
  await expect(readTrainerState(`${folder}/checkpoint-6`)).rejects.toThrow(
    `${folder}/checkpoint-6/trainer_state.json: there is no such file or folder. Check the path.`,
  )
})

test('a checkpoint that is damaged or of several processes is refused by the file and the number', async () => {
  const folder = temporaryFolder()
  await run(folder, { maxSteps: 5 })
  const checkpoint = `${folder}/checkpoint-5`
  const changed = async (name: string, change: (json: Record<string, unknown>) => unknown): Promise<string> => {
    const file = `${checkpoint}/${name}`
    const before = readFileSync(file, 'utf8')
    writeFileSync(file, JSON.stringify(change(JSON.parse(before))))
    const error = await run(folder, { maxSteps: 5 }, undefined, true).catch(error => error)
    writeFileSync(file, before)
    return error.message
  }
  expect(await changed('trainer_state.json', () => ({}))).toBe(
    `${checkpoint}/trainer_state.json: epoch is undefined, expected a finite number at least 0.`,
  )
  expect(await changed('trainer_state.json', json => ({ ...json, log_history: 'x' }))).toBe(
    `${checkpoint}/trainer_state.json: log_history is "x", expected a list.`,
  )
  expect(await changed('resume_state.json', json => ({ ...json, optimizerSteps: undefined }))).toBe(
    `${checkpoint}/resume_state.json: optimizerSteps is undefined, expected an integer at least 0.`,
  )
  expect(await changed('resume_state.json', json => ({ ...json, metricSchedule: 1 }))).toBe(
    `${checkpoint}/resume_state.json: metricSchedule is 1, expected an object with type and state. Resume from another checkpoint.`,
  )
  const together = (json: Record<string, unknown>) => ({
    ...json,
    settings: { ...(json.settings as object), numProcesses: 2 },
  })
  expect(await changed('resume_state.json', together)).toMatch('numProcesses is 1, expected 2 as when the checkpoint')
})

test('what to resume from is a path, or true where there is a folder', async () => {
  const trainer = new Trainer({ model: new TinyModel(), args: { maxSteps: 1 }, trainDataset: tinyDataset() })
  const resume = (resumeFromCheckpoint: unknown): Promise<unknown> =>
    trainer.train({ resumeFromCheckpoint: resumeFromCheckpoint as string })
  await expect(resume(true)).rejects.toThrow(
    'Trainer.train: resumeFromCheckpoint is true, expected the path of a checkpoint since there is no outputDir.',
  )
  await expect(resume(5)).rejects.toThrow("resumeFromCheckpoint is 5, expected a checkpoint's path, or true.")
  ;(trainer.model as TinyModel).dispose()
})

test.each(['steps', 'epoch'] as const)(
  'a run that had all its steps goes on where they ended when it is given more, saved by %s',
  async saveStrategy => {
    const extra: Partial<TrainingArguments> = { lrSchedulerType: 'constant', warmupSteps: 0, saveStrategy }
    const [whole, parted] = [temporaryFolder(), temporaryFolder()]
    await run(parted, { ...extra, maxSteps: 5 })
    const { weights, output } = await run(parted, { ...extra, maxSteps: 14 }, undefined, true)
    expect(output.globalStep).toBe(14)
    expect(weights).toEqual((await run(whole, { ...extra, maxSteps: 14 })).weights)
  },
)

test('resuming a finished run trains no further, and resuming in an empty folder begins one', async () => {
  const folder = temporaryFolder()
  const first = await run(folder, {}, undefined, true)
  expect(first.output.globalStep).toBe(22)
  const again = await run(folder, {}, undefined, true)
  expect(again.weights).toEqual(first.weights)
  expect(again.output.globalStep).toBe(22)
})

test.each(['lion', 'adafactor', 'muon'] as const)(
  'with %s and averages of the weights a resumed run ends at the same averages and losses, bit for bit',
  async optim => {
    const [whole, parted] = [temporaryFolder(), temporaryFolder()]
    const extra = { optim, emaDecay: 0.9, learningRate: 0.003 }
    const expected = await run(whole, extra)
    await run(parted, extra, 7)
    const second = await run(parted, extra, undefined, true)
    expect(second.weights).toEqual(expected.weights)
    expect(measured(second.history)).toEqual(measured(expected.history))
  },
)

test('the averages of the weights are evaluated, and what the model ends with; checkpoints keep the weights', async () => {
  const [plain, averaged] = [temporaryFolder(), temporaryFolder()]
  const own = await run(plain)
  const { weights, history } = await run(averaged, { emaDecay: 0.9 })
  expect(weights).not.toEqual(own.weights)
  const saved = new TinyModel({ seed: 9 })
  await loadWeights(`${averaged}/checkpoint-22`, saved)
  expect(weightsOf(saved)).toEqual(own.weights)
  const evaluated = new Trainer({ model: saved, evalDataset: tinyDataset(100) })
  await loadAverages(`${averaged}/checkpoint-22`, saved)
  expect(weightsOf(saved)).toEqual(weights)
  const last = history.findLast(({ evalLoss }) => evalLoss !== undefined)!
  expect((await evaluated.evaluate()).evalLoss).toBeCloseTo(last.evalLoss!, 6)
  saved.dispose()
  const best = { emaDecay: 0.9, saveStrategy: 'epoch', loadBestModelAtEnd: true } as const
  expect((await run(temporaryFolder(), best)).weights).toEqual(weights) // the last epoch is the best
})

test('the average of checkpoints is the mean of their weights', async () => {
  const folder = temporaryFolder()
  const model = new TinyModel()
  const saved: number[][][] = []
  for (const [i, seed] of [1, 2, 4].entries()) {
    const other = new TinyModel({ seed })
    mkdirSync(`${folder}/${i}`)
    await other.savePretrained(`${folder}/${i}`)
    saved.push(weightsOf(other))
    other.dispose()
  }
  await averageCheckpoints([`${folder}/0`, `${folder}/1`, `${folder}/2`], model)
  const mean = saved[0]!.map((values, i) => values.map((_, j) => saved.reduce((sum, w) => sum + w[i]![j]!, 0) / 3))
  for (const [i, values] of weightsOf(model).entries()) expect(values).toBeAllclose(mean[i]!, { atol: 1e-6 })
  const before = weightsOf(model)
  await expect(averageCheckpoints([`${folder}/0`, `${folder}/3`], model)).rejects.toThrow(
    'there is no such file or folder',
  )
  expect(weightsOf(model)).toEqual(before)
  model.dispose()
  expect(tf.memory().numTensors).toBe(0)
  await expect(averageCheckpoints([], model)).rejects.toThrow(
    'averageCheckpoints: folders is [], expected at least one checkpoint.',
  )
})
