import { isHeedError } from '@heed/tensor-backend'
import { expect, test } from 'vitest'
import { completeArguments, stepsOf, type TrainingArguments } from '../src/arguments.ts'

/** The message of the HEED_CONFIG_INVALID that these arguments bring. */
function complaint(args: object): string {
  try {
    completeArguments(args as Partial<TrainingArguments>)
  } catch (error) {
    if (isHeedError(error) && error.code === 'HEED_CONFIG_INVALID') return error.message
    throw error
  }
  return 'none'
}

test('what is left out has the default of HF', () => {
  expect(completeArguments({ outputDir: 'run', maxSteps: 5 })).toMatchObject({
    outputDir: 'run',
    maxSteps: 5,
    learningRate: 5e-5,
    adamBeta2: 0.999,
    maxGradNorm: 1,
    numTrainEpochs: 3,
    perDeviceTrainBatchSize: 8,
    lrSchedulerType: 'linear',
    saveStrategy: 'steps',
    seed: 42,
  })
})

test('without a folder nothing is saved, and an undefined argument is one left out', () => {
  expect(completeArguments({}).saveStrategy).toBe('no')
  expect(completeArguments({ seed: undefined } as unknown as Partial<TrainingArguments>).seed).toBe(42)
})

test.each([
  [
    { learningrate: 1 },
    'TrainingArguments: learningrate is not an option, expected learningRate. Rename it or leave it out.',
  ],
  [{ max_steps: 1 }, 'TrainingArguments: max_steps is not an option, expected maxSteps. Rename it or leave it out.'],
  [
    { colour: 1 },
    "TrainingArguments: colour is not an option, expected a name of HF's in camelCase. Rename it or leave it out.",
  ],
  [{ learningRate: '1e-4' }, 'TrainingArguments: learningRate is "1e-4", expected a finite number at least 0.'],
  [{ perDeviceTrainBatchSize: 0 }, 'TrainingArguments: perDeviceTrainBatchSize is 0, expected an integer at least 1.'],
  [
    { gradientAccumulationSteps: 1.5 },
    'TrainingArguments: gradientAccumulationSteps is 1.5, expected an integer at least 1.',
  ],
  [{ numTrainEpochs: 0 }, 'TrainingArguments: numTrainEpochs is 0, expected a finite number above 0.'],
  [{ warmupRatio: 2 }, 'TrainingArguments: warmupRatio is 2, expected a finite number at least 0 and at most 1.'],
  [{ adamBeta1: 1 }, 'TrainingArguments: adamBeta1 is 1, expected a finite number at least 0 and below 1.'],
  [{ seed: -1 }, 'TrainingArguments: seed is -1, expected an integer at least 0 and at most 4294967295.'],
  [{ maxSteps: 0 }, 'TrainingArguments: maxSteps is 0, expected at least 1, or -1 to train numTrainEpochs (3).'],
  [{ shuffle: 'yes' }, 'TrainingArguments: shuffle is "yes", expected true or false.'],
  [{ optim: 'adam' }, 'TrainingArguments: optim is "adam", expected one of adamw, sgd, lion, adafactor, muon.'],
  [{ evalStrategy: 'epochs' }, 'TrainingArguments: evalStrategy is "epochs", expected one of no, steps, epoch.'],
  [
    { saveStrategy: 'epoch' },
    'TrainingArguments: saveStrategy is "epoch", expected no, since there is no outputDir to save to.',
  ],
  [
    { lrSchedulerKwargs: null },
    'TrainingArguments: lrSchedulerKwargs is null, expected an object such as { numCycles: 2 }.',
  ],
  [
    { lrSchedulerKwargs: { power: 2 } },
    'TrainingArguments: lrSchedulerKwargs.power is no option of linear, expected none. Leave it out, or choose polynomial.',
  ],
  [
    { lrSchedulerType: 'cosine_with_min_lr' },
    'TrainingArguments: lrSchedulerKwargs.minLrRate is undefined, expected a part of the highest learning rate for ' +
      'cosine_with_min_lr. Set it, say to 0.1, or set minLr.',
  ],
  [
    { lrSchedulerType: 'reduce_lr_on_plateau' },
    'TrainingArguments: evalStrategy is "no", expected steps or epoch, since reduce_lr_on_plateau follows evaluations.',
  ],
  [
    { metricForBestModel: '' },
    'TrainingArguments: metricForBestModel is "", expected the name of a metric, such as loss or accuracy.',
  ],
  [{ greaterIsBetter: 'no' }, 'TrainingArguments: greaterIsBetter is "no", expected true or false.'],
  [{ outputDir: '' }, 'TrainingArguments: outputDir is "", expected the path of a folder.'],
  [
    { outputDir: 'run', saveStrategy: 'best' },
    'TrainingArguments: evalStrategy is "no", expected steps or epoch, since saveStrategy is "best".',
  ],
  [
    { outputDir: 'run', loadBestModelAtEnd: true, evalStrategy: 'epoch' },
    'TrainingArguments: saveStrategy is "steps", expected the same as evalStrategy ("epoch") and not "no", since loadBestModelAtEnd is true.',
  ],
])('%j is refused: %s', (args, message) => {
  expect(complaint(args)).toBe(message)
})

test('a number of steps below 1 is a part of all', () => {
  expect(stepsOf(0.1, 1000)).toBe(100)
  expect(stepsOf(0.0001, 10)).toBe(1)
  expect(stepsOf(7, 1000)).toBe(7)
  expect(stepsOf(0, 1000)).toBe(0)
})
