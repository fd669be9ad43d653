import { checkOptionNames, HeedError, withoutUndefined } from '@heed/tensor-backend'
import { checkChoice, checkNumber, type NumberRule, show } from './checks.ts'
import {
  checkScheduleOptions,
  followsMetric,
  type ScheduleOptions,
  type SchedulerType,
  schedulerTypes,
} from './optim/schedule-options.ts'

const intervals = ['no', 'steps', 'epoch'] as const
export type IntervalStrategy = (typeof intervals)[number]

const saveStrategies = ['no', 'steps', 'epoch', 'best'] as const
export type SaveStrategy = (typeof saveStrategies)[number]

const optimizerTypes = ['adamw', 'sgd', 'lion', 'adafactor', 'muon'] as const
export type OptimizerType = (typeof optimizerTypes)[number]

/** HF's `TrainingArguments` in camelCase, with HF's defaults. A number of steps below 1 is a part of all steps. */
export interface TrainingArguments {
  /** Where checkpoints and metrics go; without it nothing is written. */
  outputDir: string | undefined
  /** Starts anew in a folder that has checkpoints, and removes them. */
  overwriteOutputDir: boolean
  perDeviceTrainBatchSize: number
  perDeviceEvalBatchSize: number
  /**
   * Above 0, batches have as many examples of like lengths as fit into so many tokens of inputs, and of labels; the batch
   * sizes above then do not count.
   */
  maxTokensPerBatch: number
  /** Batches whose gradients make one update: their mean over all labels, however these are spread. */
  gradientAccumulationSteps: number
  numTrainEpochs: number
  /** Updates to do; overrides numTrainEpochs when above 0. */
  maxSteps: number
  learningRate: number
  /** `reduce_lr_on_plateau` and `greedy` follow `metricForBestModel` of the evaluations, and have no warm-up. */
  lrSchedulerType: SchedulerType
  lrSchedulerKwargs: ScheduleOptions
  warmupSteps: number
  /** Part of all steps, where warmupSteps is 0. */
  warmupRatio: number
  /** `muon` takes the matrices inside the model, and AdamW, at the same learning rate, the rest. */
  optim: OptimizerType
  weightDecay: number
  adamBeta1: number
  adamBeta2: number
  adamEpsilon: number
  /** Of `sgd`. */
  momentum: number
  /** Gradients are clipped to this global norm; 0 does not clip. */
  maxGradNorm: number
  /** Weight of the uniform distribution in what is learned, and in the loss of evaluations. */
  labelSmoothingFactor: number
  /**
   * Above 0, an exponential moving average of the weights with this decay is kept beside them; it is what is evaluated and
   * what the model has when the training ends.
   */
  emaDecay: number
  /** Computes activations of layers again on the way back instead of keeping them: less memory for a third more time. */
  gradientCheckpointing: boolean
  loggingStrategy: IntervalStrategy
  loggingSteps: number
  loggingFirstStep: boolean
  evalStrategy: IntervalStrategy
  /** loggingSteps when 0. */
  evalSteps: number
  evalOnStart: boolean
  saveStrategy: SaveStrategy
  saveSteps: number
  /** Newest checkpoints kept, beside the best; 0 keeps all. */
  saveTotalLimit: number
  /** Each evaluation that is the best so far makes a checkpoint then, also between those of saveSteps. */
  loadBestModelAtEnd: boolean
  /** As evaluation names it, with or without `eval`: `loss`, `evalLoss`, `accuracy`. Schedules that follow a metric take it too. */
  metricForBestModel: string
  /** True unless the metric is a loss, a perplexity or bits per byte. */
  greaterIsBetter: boolean | undefined
  /** Of the order of examples (unless dataSeed is set), dropout and masking. */
  seed: number
  dataSeed: number | undefined
  shuffle: boolean
  dataloaderDropLast: boolean
  /** Among several processes each keeps the optimizer's state of a part of the parameters only (ZeRO-1). */
  shardOptimizer: boolean
}

/** HF's. */
export const defaults: TrainingArguments = {
  outputDir: undefined,
  overwriteOutputDir: false,
  perDeviceTrainBatchSize: 8,
  perDeviceEvalBatchSize: 8,
  maxTokensPerBatch: 0,
  gradientAccumulationSteps: 1,
  numTrainEpochs: 3,
  maxSteps: -1,
  learningRate: 5e-5,
  lrSchedulerType: 'linear',
  lrSchedulerKwargs: {},
  warmupSteps: 0,
  warmupRatio: 0,
  optim: 'adamw',
  weightDecay: 0,
  adamBeta1: 0.9,
  adamBeta2: 0.999,
  adamEpsilon: 1e-8,
  momentum: 0,
  maxGradNorm: 1,
  labelSmoothingFactor: 0,
  emaDecay: 0,
  gradientCheckpointing: false,
  loggingStrategy: 'steps',
  loggingSteps: 500,
  loggingFirstStep: false,
  evalStrategy: 'no',
  evalSteps: 0,
  evalOnStart: false,
  saveStrategy: 'steps',
  saveSteps: 500,
  saveTotalLimit: 0,
  loadBestModelAtEnd: false,
  metricForBestModel: 'loss',
  greaterIsBetter: undefined,
  seed: 42,
  dataSeed: undefined,
  shuffle: true,
  dataloaderDropLast: false,
  shardOptimizer: false,
}

const count: NumberRule = { min: 1, isInteger: true }
const numberRules: Partial<Record<keyof TrainingArguments, NumberRule>> = {
  perDeviceTrainBatchSize: count,
  perDeviceEvalBatchSize: count,
  maxTokensPerBatch: { min: 0, isInteger: true },
  gradientAccumulationSteps: count,
  numTrainEpochs: { above: 0 },
  maxSteps: { min: -1, isInteger: true },
  learningRate: { min: 0 },
  warmupSteps: { min: 0 },
  warmupRatio: { min: 0, max: 1 },
  weightDecay: { min: 0 },
  adamBeta1: { min: 0, below: 1 },
  adamBeta2: { min: 0, below: 1 },
  adamEpsilon: { min: 0 },
  momentum: { min: 0, below: 1 },
  maxGradNorm: { min: 0 },
  labelSmoothingFactor: { min: 0, below: 1 },
  emaDecay: { min: 0, below: 1 },
  loggingSteps: { above: 0 },
  evalSteps: { min: 0 },
  saveSteps: { above: 0 },
  saveTotalLimit: { min: 0, isInteger: true },
  seed: { min: 0, max: 2 ** 32 - 1, isInteger: true },
  dataSeed: { min: 0, max: 2 ** 32 - 1, isInteger: true },
}

const choiceRules: Partial<Record<keyof TrainingArguments, readonly string[]>> = {
  lrSchedulerType: schedulerTypes,
  optim: optimizerTypes,
  loggingStrategy: intervals,
  evalStrategy: intervals,
  saveStrategy: saveStrategies,
}

const where = 'TrainingArguments'

/** All arguments, HF's defaults where none is given. Throws HEED_CONFIG_INVALID naming the wrong one. */
export function completeArguments(given: Partial<TrainingArguments>): TrainingArguments {
  checkOptionNames(where, given, Object.keys(defaults), 'HEED_CONFIG_INVALID')
  const args: TrainingArguments = { ...defaults, ...withoutUndefined(given) }
  if (args.outputDir === undefined && given.saveStrategy === undefined) args.saveStrategy = 'no'
  for (const [name, rule] of Object.entries(numberRules)) {
    const value = args[name as keyof TrainingArguments]
    if (value !== undefined) checkNumber(where, name, value, rule, 'HEED_CONFIG_INVALID')
  }
  for (const [name, choices] of Object.entries(choiceRules)) {
    checkChoice(where, name, args[name as keyof TrainingArguments], choices, 'HEED_CONFIG_INVALID')
  }
  for (const [name, value] of Object.entries(defaults)) {
    const own = args[name as keyof TrainingArguments]
    if (typeof value === 'boolean' && typeof own !== 'boolean') throw invalid(name, own, 'true or false')
  }
  checkKinds(args)
  checkTogether(args)
  return args
}

function invalid(name: string, value: unknown, rule: string): HeedError {
  return new HeedError('HEED_CONFIG_INVALID', `${where}: ${name} is ${show(value)}, expected ${rule}.`)
}

/** Arguments that are neither numbers, choices nor switches. */
function checkKinds({ outputDir, lrSchedulerKwargs, metricForBestModel, greaterIsBetter }: TrainingArguments): void {
  if (outputDir !== undefined && (typeof outputDir !== 'string' || outputDir.trim() === '')) {
    throw invalid('outputDir', outputDir, 'the path of a folder')
  }
  if (typeof lrSchedulerKwargs !== 'object' || lrSchedulerKwargs === null) {
    throw invalid('lrSchedulerKwargs', lrSchedulerKwargs, 'an object such as { numCycles: 2 }')
  }
  if (typeof metricForBestModel !== 'string' || metricForBestModel === '') {
    throw invalid('metricForBestModel', metricForBestModel, 'the name of a metric, such as loss or accuracy')
  }
  if (greaterIsBetter !== undefined && typeof greaterIsBetter !== 'boolean') {
    throw invalid('greaterIsBetter', greaterIsBetter, 'true or false')
  }
}

/** Rules between arguments. */
function checkTogether(args: TrainingArguments): void {
  const { outputDir, saveStrategy, evalStrategy, loadBestModelAtEnd, numTrainEpochs, lrSchedulerType } = args
  if (outputDir === undefined && saveStrategy !== 'no') {
    throw invalid('saveStrategy', saveStrategy, 'no, since there is no outputDir to save to')
  }
  if (args.maxSteps === 0) throw invalid('maxSteps', 0, `at least 1, or -1 to train numTrainEpochs (${numTrainEpochs})`)
  const place = { where, prefix: 'lrSchedulerKwargs.', code: 'HEED_CONFIG_INVALID' } as const
  checkScheduleOptions(lrSchedulerType, args.lrSchedulerKwargs, place)
  if (followsMetric(lrSchedulerType) && evalStrategy === 'no') {
    throw invalid('evalStrategy', evalStrategy, `steps or epoch, since ${lrSchedulerType} follows evaluations`)
  }
  if (saveStrategy === 'best' && evalStrategy === 'no') {
    throw invalid('evalStrategy', evalStrategy, 'steps or epoch, since saveStrategy is "best"')
  }
  if (!loadBestModelAtEnd || saveStrategy === 'best') return
  if (evalStrategy === 'no' || evalStrategy !== saveStrategy) {
    throw invalid(
      'saveStrategy',
      saveStrategy,
      `the same as evalStrategy ("${evalStrategy}") and not "no", since loadBestModelAtEnd is true`,
    )
  }
}

/** A number of steps that may be given as a part of all: 0.1 of 1000 is 100. */
export function stepsOf(steps: number, maxSteps: number): number {
  return steps > 0 && steps < 1 ? Math.max(1, Math.ceil(steps * maxSteps)) : Math.round(steps)
}
