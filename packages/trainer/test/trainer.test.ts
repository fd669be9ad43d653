import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { init, tf } from '@heed/tensor-backend'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { TrainingArguments } from '../src/arguments.ts'
import type { TrainerCallback, TrainerEventName } from '../src/callbacks.ts'
import { loadWeights } from '../src/checkpoint.ts'
import { batchTensors, countLabels } from '../src/data/batch.ts'
import { causalLmCollator } from '../src/data/collators.ts'
import { Dataset } from '../src/data/dataset.ts'
import { PackedTokens, type TokenExample } from '../src/data/packed-tokens.ts'
import type { PredictedLabels } from '../src/evaluation.ts'
import { accuracy } from '../src/metrics.ts'
import type { TrainableModel } from '../src/model.ts'
import { AdamW } from '../src/optim/adamw.ts'
import type { NamedParameter } from '../src/optim/optimizer.ts'
import { hash } from '../src/random.ts'
import { checkNoOtherRun } from '../src/run-folder.ts'
import { Trainer, type TrainerOptions } from '../src/trainer.ts'
import { lossAndGradients } from '../src/training-step.ts'
import { temporaryFolder } from './temporary-folder.ts'
import { TinyModel, tinyDataset, weightsOf } from './tiny-model.ts'

beforeAll(async () => {
  await init()
})

afterEach(() => {
  expect(tf.memory().numTensors).toBe(0)
})

const quick: Partial<TrainingArguments> = {
  perDeviceTrainBatchSize: 4,
  maxSteps: 6,
  learningRate: 0.01,
  loggingSteps: 2,
}

/** Trains a TinyModel and disposes of it. */
async function train(args: Partial<TrainingArguments>, options: Partial<TrainerOptions<TokenExample>> = {}) {
  const model = new TinyModel()
  try {
    const trainer = new Trainer({
      model,
      trainDataset: tinyDataset(),
      evalDataset: tinyDataset(100),
      ...options,
      args: { ...quick, ...args },
    })
    const output = await trainer.train()
    return { output, trainer, weights: weightsOf(model), history: trainer.state.logHistory }
  } finally {
    model.dispose()
  }
}

describe('gradient accumulation', () => {
  const collate = causalLmCollator({ padTokenId: 0 })
  const examples = [
    { inputIds: [1, 2, 3, 4, 5] },
    { inputIds: [6, 7] },
    { inputIds: [8, 9, 10] },
    { inputIds: [3, 3, 3, 3] },
  ]

  test('gives the loss and gradients of one batch of all examples, however the labels are spread', () => {
    const model = new TinyModel({ dropout: 0 })
    const parameters = [...model.namedParameters()]
    const whole = lossAndGradients(model, parameters, [collate(examples, 0)])
    const parted = lossAndGradients(model, parameters, [
      collate(examples.slice(0, 1), 0),
      collate(examples.slice(1), 0),
    ])
    expect(parted.loss.dataSync()).toBeAllclose(whole.loss.dataSync(), { rtol: 1e-6, atol: 0 })
    for (const [name, gradient] of whole.gradients)
      expect(parted.gradients.get(name)!.dataSync()).toBeAllclose(gradient.dataSync(), { rtol: 1e-5, atol: 1e-7 })
    tf.dispose([whole.loss, parted.loss, ...whole.gradients.values(), ...parted.gradients.values()])
    model.dispose()
  })

  test('counts the labels that the loss is a mean over', () => {
    expect(countLabels(collate(examples, 0))).toBe(4 + 1 + 2 + 3)
  })
})

describe('a run', () => {
  test('learns: the loss of the last steps is far below that of the first', async () => {
    const { history } = await train({ maxSteps: 150, learningRate: 0.05, loggingSteps: 10 })
    const losses = history.flatMap(({ loss }) => loss ?? [])
    expect(losses[0]).toBeGreaterThan(2.3)
    expect(losses.at(-1)).toBeLessThan(1.4)
  })

  test('with the same seed gives the same weights, with another seed others', async () => {
    const [first, second, third] = [await train({}), await train({}), await train({ seed: 1 })]
    expect(second.weights).toEqual(first.weights)
    expect(third.weights).not.toEqual(first.weights)
  })

  test('label smoothing of almost nothing is the plain loss, of more a higher one', async () => {
    const lossAt = async (labelSmoothingFactor: number): Promise<number> => {
      const { history } = await train({ maxSteps: 1, labelSmoothingFactor })
      return history[0]!.loss!
    }
    const plain = await lossAt(0)
    expect(await lossAt(1e-9)).toBeCloseTo(plain, 5)
    expect(await lossAt(0.5)).not.toBeCloseTo(plain, 3)
  })

  test('tells callbacks everything in the order of HF', async () => {
    const events: string[] = []
    const names: TrainerEventName[] = [
      'onTrainBegin',
      'onTrainEnd',
      'onEpochBegin',
      'onEpochEnd',
      'onStepBegin',
      'onPreOptimizerStep',
      'onStepEnd',
      'onEvaluate',
      'onLog',
      'onSave',
    ]
    const callback: TrainerCallback = Object.fromEntries(
      names.map(name => [
        name,
        ({ state }: { state: { globalStep: number } }) => void events.push(`${name} ${state.globalStep}`),
      ]),
    )
    const args = {
      maxSteps: 2,
      evalStrategy: 'steps',
      evalSteps: 2,
      outputDir: temporaryFolder(),
      saveSteps: 2,
    } as const
    await train(args, { callbacks: [callback] })
    expect(events).toEqual([
      'onTrainBegin 0',
      'onEpochBegin 0',
      'onStepBegin 0',
      'onPreOptimizerStep 0',
      'onStepEnd 1',
      'onStepBegin 1',
      'onPreOptimizerStep 1',
      'onStepEnd 2',
      'onLog 2',
      'onLog 2',
      'onEvaluate 2',
      'onSave 2',
      'onEpochEnd 2',
      'onLog 2',
      'onTrainEnd 2',
    ])
  })

  test('can be stopped by a callback', async () => {
    const stop: TrainerCallback = {
      onStepEnd: ({ state, control }) => {
        control.shouldTrainingStop = state.globalStep === 3
      },
    }
    const { output } = await train({}, { callbacks: [stop] })
    expect(output).toMatchObject({ globalStep: 3, isInterrupted: false })
  })

  test('leaves frozen parameters as they are', async () => {
    const model = new TinyModel()
    model.embed.requiresGrad(false)
    const before = weightsOf(model.embed)
    const headBefore = weightsOf(model.head)
    await new Trainer({ model, args: quick, trainDataset: tinyDataset() }).train()
    expect(weightsOf(model.embed)).toEqual(before)
    expect(weightsOf(model.head)).not.toEqual(headBefore)
    model.dispose()
  })

  test('logs the schedule of the learning rate as it was used', async () => {
    const { history } = await train({ loggingSteps: 1, warmupSteps: 2, maxSteps: 4, learningRate: 1 })
    expect(history.flatMap(({ learningRate }) => learningRate ?? [])).toEqual([0, 0.5, 1, 0.5])
  })

  test('takes its steps from a stream', async () => {
    const blocks = tinyDataset()
    const stream = {
      async *[Symbol.asyncIterator]() {
        for (let i = 0; i < blocks.length; i++) yield blocks.get(i)
      },
    }
    const model = new TinyModel()
    const trainer = new Trainer({ model, args: { ...quick, maxSteps: 15 }, trainDataset: stream })
    expect((await trainer.train()).globalStep).toBe(15) // 11 batches an epoch
    model.dispose()
  })
})

describe('evaluation', () => {
  test('is the mean over all labels of all batches, in nats, as perplexity and in bits per byte', async () => {
    const model = new TinyModel()
    const evalDataset = tinyDataset(100)
    const trainer = new Trainer({ model, args: { perDeviceEvalBatchSize: 3 }, evalDataset })
    const metrics = await trainer.evaluate()
    const all = causalLmCollator()(
      Array.from({ length: evalDataset.length }, (_, i) => evalDataset.get(i)),
      0,
    )
    const loss = tf.tidy(() => model.forward(batchTensors(all)).loss!.dataSync()[0]!)
    expect(metrics.evalLoss).toBeCloseTo(loss, 5)
    expect(metrics.evalPerplexity).toBeCloseTo(Math.exp(loss), 3)
    expect(metrics.evalBitsPerByte).toBeCloseTo(loss / Math.LN2 / 2, 5)
    model.dispose()
  })

  test('adds the numbers of computeMetrics, over the labels that count', async () => {
    const model = new TinyModel()
    const rows = [{ inputIds: [1, 2, 3, 4], labels: [9, -100, 3, 4] }, { inputIds: [5, 6] }]
    const seen: PredictedLabels[] = []
    const trainer = new Trainer({
      model,
      args: { perDeviceEvalBatchSize: 1 },
      evalDataset: { length: 2, get: index => rows[index]! },
      computeMetrics: predicted => {
        seen.push(predicted)
        return { accuracy: accuracy(predicted.predictions, predicted.labels) }
      },
    })
    const { evalAccuracy } = await trainer.evaluate()
    const likeliest = (id: number): number =>
      tf.tidy(
        () => tf.argMax(model.forward({ inputIds: tf.tensor2d([[id]], [1, 1], 'int32') }).logits, -1).dataSync()[0]!,
      )
    expect(seen).toEqual([
      { predictions: Int32Array.of(likeliest(2), likeliest(3), likeliest(5)), labels: Int32Array.of(3, 4, 6) },
    ])
    expect(evalAccuracy).toBe([likeliest(2) === 3, likeliest(3) === 4, likeliest(5) === 6].filter(Boolean).length / 3)
    model.dispose()
  })

  test('of nothing is refused, and does not count as the best', async () => {
    const rows = (async function* () {
      yield { inputIds: [1, 2, 3] }
    })()
    const evaluated = { evalStrategy: 'steps', evalSteps: 2 } as const
    await expect(train(evaluated, { evalDataset: rows })).rejects.toThrow(
      'Trainer: evalDataset gave 0 labels in 0 examples, expected at least one. A stream must start anew each time it is iterated.',
    )
    const evalDataset = Dataset.from([{ inputIds: [1, 2], labels: [1, -100] }])
    await expect(train(evaluated, { evalDataset })).rejects.toThrow('evalDataset gave 0 labels in 1 examples')
  })

  // What the model learns is wrong for noise: each evaluation is worse than the one before.
  const evalDataset = new PackedTokens(
    Uint16Array.from({ length: 200 }, (_, i) => hash(i) % 17),
    { blockSize: 9 },
  )
  const worsening: Partial<TrainingArguments> = { learningRate: 0.1, evalStrategy: 'steps', evalSteps: 1, saveSteps: 1 }
  const checkpointsIn = (folder: string): string[] =>
    readdirSync(folder).filter(name => name.startsWith('checkpoint')).sort() // biome-ignore format: one line

  test('keeps the best checkpoint beside the newest, and loads it at the end', async () => {
    const outputDir = temporaryFolder()
    const args = { ...worsening, outputDir, saveTotalLimit: 2, loadBestModelAtEnd: true }
    const { trainer, weights, history } = await train(args, { evalDataset })
    const losses = history.flatMap(({ evalLoss }) => evalLoss ?? [])
    expect(losses).toEqual([...losses].sort((a, b) => a - b))
    expect(trainer.state).toMatchObject({ bestGlobalStep: 1, bestMetric: losses[0] })
    expect(trainer.state.bestModelCheckpoint).toBe(`${outputDir}/checkpoint-1`)
    expect(checkpointsIn(outputDir)).toEqual(['checkpoint-1', 'checkpoint-5', 'checkpoint-6'])
    const model = new TinyModel()
    await loadWeights(`${outputDir}/checkpoint-1`, model)
    expect(weightsOf(model)).toEqual(weights)
    model.dispose()
  })

  test('saves the best also between the steps to save at, so that it can be loaded', async () => {
    const outputDir = temporaryFolder()
    const args = { ...worsening, saveSteps: 4, saveTotalLimit: 1, outputDir, loadBestModelAtEnd: true }
    const { trainer } = await train(args, { evalDataset })
    expect(trainer.state.bestModelCheckpoint).toBe(`${outputDir}/checkpoint-1`)
    expect(checkpointsIn(outputDir)).toEqual(['checkpoint-1', 'checkpoint-6'])
  })

  test('finds the best again when the folder has been moved, and keeps it', async () => {
    const [before, outputDir] = [temporaryFolder(), `${temporaryFolder()}/moved`]
    const args = { ...worsening, saveTotalLimit: 1, loadBestModelAtEnd: true }
    await train({ ...args, maxSteps: 3, outputDir: before }, { evalDataset })
    renameSync(before, outputDir)
    const model = new TinyModel()
    const trainDataset = tinyDataset()
    const trainer = new Trainer({ model, args: { ...quick, ...args, outputDir }, trainDataset, evalDataset })
    await trainer.train({ resumeFromCheckpoint: true })
    expect(trainer.state.bestModelCheckpoint).toBe(`${outputDir}/checkpoint-1`)
    expect(checkpointsIn(outputDir)).toEqual(['checkpoint-1', 'checkpoint-6'])
    model.dispose()
  })

  test('with saveStrategy best saves when it got better and not else', async () => {
    const outputDir = temporaryFolder()
    await train({ ...worsening, outputDir, saveStrategy: 'best' }, { evalDataset })
    expect(checkpointsIn(outputDir)).toEqual(['checkpoint-1'])
  })
})

describe('bad input', () => {
  const failure = async (
    args: Partial<TrainingArguments>,
    options: Partial<TrainerOptions<TokenExample>> = {},
  ): Promise<string> => {
    const error = await train(args, options).then(
      () => new Error('no error'),
      error => error,
    )
    return `${error.code}: ${error.message}`
  }

  test('a loss that is NaN stops the run before it is saved, naming step, batch and first bad tensor', async () => {
    const outputDir = temporaryFolder()
    const wild = { loggingSteps: 100, maxGradNorm: 0, lrSchedulerType: 'constant' } as const
    expect(await failure({ outputDir, learningRate: 1e38, gradientAccumulationSteps: 2, ...wild })).toBe(
      'HEED_NUMERIC: Trainer: loss is NaN at step 2, expected a finite number. ' +
        'The first tensor that went wrong is the weight embed_tokens.weight, in batches 2, 3 of epoch 0. ' +
        'Lower learningRate, warm up longer, or look at the data of that step.',
    )
    expect(readdirSync(outputDir).sort()).toEqual(['metrics.jsonl', 'report.html'])
  })

  test('a weight and a gradient that are not finite are named, and the weights stay as they were', async () => {
    const model = new TinyModel({ dropout: 0 })
    const weight = model.head.weight
    tf.tidy(() => weight.assign(tf.mul(weight, Number.NaN)))
    expect(await failure({}, { model })).toMatch(
      /^HEED_NUMERIC: Trainer: loss is NaN at step 1, .*wrong is the weight lm_head.weight, in batch 0 of epoch 0\. Lower/,
    )
    model.dispose()
    const other = new TinyModel({ dropout: 0 })
    const before = weightsOf(other)
    const root = other.head.forward.bind(other.head)
    // sqrt(0) is 0, and its slope infinite
    other.head.forward = x => tf.add(root(x), tf.sqrt(tf.mul(tf.sum(other.norm.weight), 0)))
    expect(await failure({}, { model: other })).toMatch(
      /^HEED_NUMERIC: Trainer: the norm of the gradients is NaN at step 1, .*wrong is the gradient of norm.weight, in batch 0 of epoch 0\. Lower/,
    )
    expect(weightsOf(other)).toEqual(before)
    other.head.forward = root
    const norm = other.norm.forward.bind(other.norm)
    let calls = 0
    other.norm.forward = x => (++calls === 3 || calls > 4 ? tf.div(norm(x), 0) : norm(x))
    expect(await failure({ gradientAccumulationSteps: 2 }, { model: other })).toMatch(
      /^HEED_NUMERIC: Trainer: loss is NaN at step 2, .*wrong is the output of norm, in batch 2 of epoch 0\. Lower/,
    )
    other.dispose()
  })

  test('a loss that explodes stops the run before it is saved, naming step, batch and the weight that grew the most', async () => {
    const outputDir = temporaryFolder()
    const options = { learningRate: 1000, loggingSteps: 100, lrSchedulerType: 'constant', maxSteps: 30 } as const
    const message = await failure({ outputDir, ...options, gradientAccumulationSteps: 2 })
    const found =
      /^HEED_NUMERIC: Trainer: loss is (\d+\.?\d*) at step (\d+), expected at most \d+\.?\d* after [23]\.\d+ at the first step\. The loss is highest, (\d+\.?\d*), in batch (\d+) of epoch 0\. The tensor that went wrong is the weight (\S+), whose numbers have grown from (\S+) to (\S+) \(root mean square\)\. The training has exploded: lower learningRate, warm up longer, or set maxGradNorm\.$/.exec(
        message,
      )
    expect(found, message).not.toBeNull()
    const [, loss, step, worst, batch, weight, before, now] = found!
    expect(Number(worst)).toBeGreaterThanOrEqual(Number(Number(loss).toPrecision(3)))
    expect([2 * Number(step) - 2, 2 * Number(step) - 1]).toContain(Number(batch))
    expect(weight).toMatch(/^(embed_tokens|norm|lm_head)\.(weight|bias)$/)
    expect(Number(now)).toBeGreaterThan(20 * Number(before))
    expect(readdirSync(outputDir).sort()).toEqual(['metrics.jsonl', 'report.html'])
  })

  test('a loss that explodes by its data names the batch alone', async () => {
    const model = new TinyModel()
    const forward = model.head.forward.bind(model.head)
    let calls = 0
    model.head.forward = x => ([3, 5].includes(++calls) ? tf.mul(forward(x), 1e6) : forward(x)) // the third batch, and again
    expect(await failure({ gradientAccumulationSteps: 2, learningRate: 1e-3 }, { model })).toMatch(
      /^HEED_NUMERIC: Trainer: loss is \d+\.?\d* at step 2, expected .* in batch 2 of epoch 0\. The training has exploded:/,
    )
    model.dispose()
  })

  test('missing and empty data sets are named', async () => {
    expect(await failure({}, { trainDataset: undefined } as object)).toBe(
      'HEED_CONFIG_INVALID: Trainer: trainDataset is undefined, expected one since train() was called. Give the Trainer one.',
    )
    expect(await failure({ evalStrategy: 'epoch' }, { evalDataset: undefined } as object)).toBe(
      'HEED_CONFIG_INVALID: Trainer: evalDataset is undefined, expected one since evalStrategy is "epoch". Give the Trainer one.',
    )
    expect(await failure({}, { trainDataset: { length: 0, get: () => ({ inputIds: [] }) } })).toBe(
      'HEED_ARGUMENT_INVALID: Trainer: trainDataset has 0 examples, expected at least one. Give more data.',
    )
    const few = { length: 3, get: () => ({ inputIds: [1, 2] }) }
    expect(await failure({ dataloaderDropLast: true }, { trainDataset: few })).toBe(
      'HEED_ARGUMENT_INVALID: Trainer: trainDataset has 3 examples, expected at least 4, one batch. Give more data.',
    )
    const endless = { async *[Symbol.asyncIterator]() {} }
    expect(await failure({ maxSteps: -1 }, { trainDataset: endless })).toBe(
      'HEED_CONFIG_INVALID: TrainingArguments: maxSteps is -1, expected at least 1 since trainDataset is a stream without a length. Set it.',
    )
    expect(await failure({}, { trainDataset: endless })).toBe(
      'HEED_ARGUMENT_INVALID: Trainer: trainDataset gave no example in epoch 0, expected some. A stream must start anew each time it is iterated.',
    )
  })

  test('a list of rows, rows of text and rows without a label are no data set to learn from', async () => {
    const given = (trainDataset: unknown, options: object = {}): Promise<string> =>
      failure({}, { trainDataset: trainDataset as Dataset<TokenExample>, ...options })
    expect(await given([{ inputIds: [1, 2] }])).toBe(
      'HEED_CONFIG_INVALID: Trainer: the data set is [{"inputIds":[1,2]}], expected one with length and get(index), ' +
        'or an async iterable. Wrap the list: Dataset.from(rows).',
    )
    expect(await given('book.txt')).toMatch('Trainer: the data set is "book.txt", expected one with length')
    expect(await given(Dataset.from([{ text: 'a' }]))).toMatch('inputIds of example 0 of the batch is undefined')
    expect(await given(Dataset.from([{ inputIds: [1] }]))).toBe(
      'HEED_ARGUMENT_INVALID: Trainer: trainDataset gave 0 labels in an epoch, expected some. ' +
        'Labels of -100, and the first of a row for the next token, do not count.',
    )
    const collator = () => ({
      inputs: { inputIds: { values: Int32Array.of(1), shape: [1, 1] } },
      labelShift: 0 as const,
    })
    expect(await given(tinyDataset(), { collator })).toMatch(
      'inputs of the batch are inputIds, expected labels among them',
    )
  })

  test('a trainer trains one run at a time', async () => {
    const trainer = new Trainer({ model: new TinyModel(), args: quick, trainDataset: tinyDataset() })
    const first = trainer.train()
    await expect(trainer.train()).rejects.toThrow('train() was called while a run of this trainer goes on')
    await first
    expect((await trainer.train()).globalStep).toBe(6)
    ;(trainer.model as TinyModel).dispose()
  })

  test('a model that cannot be trained or saved is named', async () => {
    const model = new TinyModel()
    const bare: TrainableModel = {
      namedParameters: () => model.namedParameters(),
      forward: () => ({ logits: tf.zeros([1]) }),
      train: () => model.train(),
      eval: () => model.eval(),
    }
    expect(await failure({}, { model: bare })).toBe(
      'HEED_CONFIG_INVALID: Trainer: loss is undefined, expected a scalar from model.forward({ labels }). Return one beside logits.',
    )
    expect(await failure({ outputDir: 'run' }, { model: bare })).toBe(
      'HEED_CONFIG_INVALID: Trainer: model.savePretrained is undefined, expected one since outputDir is set. Give the model one, or leave outputDir out.',
    )
    model.requiresGrad(false)
    expect(await failure({}, { model })).toBe(
      'HEED_CONFIG_INVALID: Trainer: model has 0 trainable parameters, expected at least one. Unfreeze some.',
    )
    model.dispose()
  })

  test('a metric that evaluation does not have is refused with those that it has', async () => {
    expect(await failure({ evalStrategy: 'steps', metricForBestModel: 'accuracy' })).toBe(
      'HEED_CONFIG_INVALID: TrainingArguments: metricForBestModel is "accuracy", ' +
        'expected one of evalLoss, evalPerplexity, evalBitsPerByte, evalRuntime, evalSamplesPerSecond. Name one, or return it from computeMetrics.',
    )
  })

  test('a folder with checkpoints is not written over unless asked', async () => {
    const outputDir = temporaryFolder()
    await train({ outputDir, maxSteps: 2 })
    expect(await failure({ outputDir })).toBe(
      `HEED_ARGUMENT_INVALID: TrainingArguments: outputDir is "${outputDir}", which holds ${outputDir}/checkpoint-2, ` +
        'expected a folder without checkpoints. Go on with that run by train({ resumeFromCheckpoint: true }), ' +
        'choose another folder, or set overwriteOutputDir.',
    )
    await train({ outputDir, maxSteps: 1, overwriteOutputDir: true })
    expect(readdirSync(outputDir).sort()).toEqual(['checkpoint-1', 'metrics.jsonl', 'report.html'])
  })

  test('two runs in one folder are kept apart, and a lock whose process is gone does not matter', async () => {
    const outputDir = temporaryFolder()
    const second: { message?: string; asked?: string } = {}
    const meanwhile: TrainerCallback = {
      onStepEnd: async ({ state }) => {
        if (state.globalStep !== 1) return
        second.message = await failure({ outputDir })
        second.asked = await checkNoOtherRun(outputDir).then(() => '', String)
      },
    }
    await train({ outputDir, maxSteps: 2 }, { callbacks: [meanwhile] })
    expect(second.message).toBe(
      `HEED_IO: ${outputDir}: process ${process.pid} on ${hostname()} is training in this folder, expected no other run. ` +
        `Choose another folder, or remove ${outputDir}/.heed-lock if that run is over.`,
    )
    expect(second.asked).toContain(`process ${process.pid} on ${hostname()} is training in this folder`)
    await checkNoOtherRun(outputDir)
    await checkNoOtherRun(`${outputDir}/absent`)
    expect(readdirSync(outputDir)).not.toContain('.heed-lock')
  })

  test('a lock that another process is just writing counts, and one that nobody writes does not', async () => {
    const outputDir = temporaryFolder()
    const file = `${outputDir}/.heed-lock`
    writeFileSync(file, '')
    const refused = failure({ outputDir })
    setTimeout(() => writeFileSync(file, JSON.stringify({ pid: process.ppid, host: hostname() })), 20)
    expect(await refused).toContain(`process ${process.ppid} on ${hostname()} is training in this folder`)
    writeFileSync(file, '')
    await train({ outputDir, maxSteps: 1 })
    expect(readdirSync(outputDir)).not.toContain('.heed-lock')
  })

  test('the folder of a process that is gone, is ending, or is a zombie is free', async () => {
    const ending = spawn('sleep', ['0.2'])
    const parent = spawn('sh', ['-c', 'true & echo $!; exec sleep 1'])
    const [zombie] = await once(parent.stdout, 'data')
    for (const pid of [2 ** 22 + 1, ending.pid, Number(zombie)]) {
      const outputDir = temporaryFolder()
      writeFileSync(`${outputDir}/.heed-lock`, JSON.stringify({ pid, host: hostname() }))
      await train({ outputDir, maxSteps: 1 })
      expect(readdirSync(outputDir)).not.toContain('.heed-lock')
    }
    parent.kill()
  })

  test('a checkpoint of another model, or of other settings, is refused and changes nothing', async () => {
    const outputDir = temporaryFolder()
    await train({ outputDir, maxSteps: 2 })
    const checkpoint = `${outputDir}/checkpoint-2`
    const resume = async (model: TinyModel, args: Partial<TrainingArguments>): Promise<string> => {
      const before = weightsOf(model)
      const trainer = new Trainer({ model, args: { ...quick, ...args }, trainDataset: tinyDataset() })
      const error = await trainer.train({ resumeFromCheckpoint: checkpoint }).catch(error => error)
      expect(weightsOf(model)).toEqual(before)
      model.dispose()
      return `${error.code}: ${error.message}`
    }
    expect(await resume(new TinyModel({ hiddenSize: 12 }), {})).toBe(
      `HEED_STATE_DICT_MISMATCH: ${checkpoint}: embed_tokens.weight is of shape [17, 8], expected shape [17, 12]. ` +
        'The checkpoint is of another model.',
    )
    expect(await resume(new TinyModel(), { perDeviceTrainBatchSize: 2 })).toBe(
      `HEED_CONFIG_INVALID: ${checkpoint}: perDeviceTrainBatchSize is 2, expected 4 as when the checkpoint was made. ` +
        `Set it back, or start a new run from the weights of ${checkpoint}.`,
    )
    mkdirSync(`${outputDir}/nothing`)
    const missing = new Trainer({ model: new TinyModel(), args: quick, trainDataset: tinyDataset() })
    await expect(missing.train({ resumeFromCheckpoint: `${outputDir}/nothing` })).rejects.toThrow(
      `${outputDir}/nothing/trainer_state.json: there is no such file or folder. Check the path.`,
    )
    ;(missing.model as TinyModel).dispose()
  })
})

describe('memory', () => {
  test('a run that ends by an error of its callbacks, its optimizer or its options leaves no tensor behind', async () => {
    const fail = (): never => {
      throw new Error('mine')
    }
    await expect(train({}, { callbacks: [{ onPreOptimizerStep: fail }] })).rejects.toThrow('mine')
    const createOptimizer = (parameters: NamedParameter[]) => Object.assign(new AdamW(parameters), { step: fail })
    await expect(train({}, { createOptimizer })).rejects.toThrow('mine')
    await expect(train({ gradientCheckpointing: true })).rejects.toThrow('gradientCheckpointing is true')
    const model = new TinyModel()
    let calls = 0
    const forward = model.forward.bind(model)
    model.forward = inputs => (++calls === 5 ? fail() : forward(inputs))
    await expect(train({ gradientAccumulationSteps: 3 }, { model })).rejects.toThrow('mine')
    model.dispose()
  })

  test('a thousand steps leave no tensor and no growth behind', async () => {
    setFlagsFromString('--expose-gc')
    const collectGarbage: () => void = runInNewContext('gc')
    const model = new TinyModel()
    const before = tf.memory().numTensors
    const resident: number[] = []
    const held: number[] = []
    const watch: TrainerCallback = {
      onLog({ progress, logs }) {
        if (logs?.loss === undefined) return
        collectGarbage()
        const { heapUsed, external } = process.memoryUsage()
        held.push((heapUsed + external) / 2 ** 20)
        resident.push(progress.memoryBytes! / 2 ** 20)
      },
    }
    const args = { ...quick, maxSteps: 1200, loggingSteps: 100 }
    await new Trainer({ model, args, trainDataset: tinyDataset(), callbacks: [watch] }).train()
    expect(tf.memory().numTensors).toBe(before)
    model.dispose()
    // The first 200 steps warm up. What is still referenced must not grow at all, but for code that is being compiled just
    // then, of which the least of several readings is free; a page is never given back at once.
    expect(Math.min(...held.slice(-4)) - Math.min(...held.slice(1, 5))).toBeLessThan(0.35)
    expect(resident.at(-1)! - resident[1]!).toBeLessThan(16)
  })
})
