import { checkOptionNames, HeedError, joinWorld, trimMemorySoon, type World } from '@heed/tensor-backend'
import { completeArguments, type TrainingArguments } from './arguments.ts'
import type { TrainerCallback } from './callbacks.ts'
import { namesOf, show } from './checks.ts'
import { type Collator, causalLmCollator } from './data/collators.ts'
import type { TokenExample } from './data/packed-tokens.ts'
import type { DatasetLike } from './data/sources.ts'
import { type BatchPlan, batchPlan, checkNotEmpty } from './data/updates.ts'
import { type ComputeMetrics, evaluateModel } from './evaluation.ts'
import type { TrainableModel } from './model.ts'
import type { NamedParameter, Optimizer } from './optim/optimizer.ts'
import type { TextSample } from './report/run-report.ts'
import { newState, type TrainerState } from './trainer-state.ts'
import { TrainingRun, type TrainOutput } from './training-run.ts'

export interface TrainerOptions<T> {
  model: TrainableModel
  args?: Partial<TrainingArguments>
  trainDataset?: DatasetLike<T>
  evalDataset?: DatasetLike<T>
  /** `causalLmCollator()` when left out. */
  collator?: Collator<T>
  /** More numbers for each evaluation: `({ predictions, labels }) => ({ accuracy: accuracy(predictions, labels) })`. */
  computeMetrics?: ComputeMetrics
  callbacks?: TrainerCallback[]
  /** Texts of the model in evaluation mode, written at each evaluation and at the end, for `report.html`. */
  sampleTexts?: () => Promise<TextSample[]>
  /** In place of the one that `args.optim` names. */
  createOptimizer?: (parameters: NamedParameter[]) => Optimizer
}

export interface TrainOptions {
  /** A checkpoint's folder, or true for the newest in outputDir (a new run when there is none). */
  resumeFromCheckpoint?: string | boolean
  /** Aborting finishes the step, saves a checkpoint and ends `train` without an error; see `interruptSignal`. */
  signal?: AbortSignal
}

const trainerOptions = namesOf<TrainerOptions<unknown>>({
  model: true,
  args: true,
  trainDataset: true,
  evalDataset: true,
  collator: true,
  computeMetrics: true,
  callbacks: true,
  sampleTexts: true,
  createOptimizer: true,
})
const trainOptions = namesOf<TrainOptions>({ resumeFromCheckpoint: true, signal: true })

/** Trains a model, as HF's `Trainer`: epochs of updates, each the gradient of some batches, with logs, evaluations and checkpoints. */
export class Trainer<T = TokenExample> {
  readonly model: TrainableModel
  readonly args: TrainingArguments
  readonly callbacks: TrainerCallback[]
  readonly createOptimizer: TrainerOptions<T>['createOptimizer']
  readonly sampleTexts: TrainerOptions<T>['sampleTexts']
  readonly #trainDataset: DatasetLike<T> | undefined
  readonly #evalDataset: DatasetLike<T> | undefined
  readonly #collator: Collator<T>
  readonly #computeMetrics: ComputeMetrics | undefined
  /** The processes that train together, when `mpirun` or its like started this one. */
  readonly world: World | undefined
  /** How far the last run came. */
  state: TrainerState = newState()
  #isTraining = false

  /** Throws HEED_CONFIG_INVALID, and in an MPI job as `joinWorld`. */
  constructor(options: TrainerOptions<T>) {
    checkOptionNames('Trainer', options, trainerOptions, 'HEED_CONFIG_INVALID')
    const { model, args = {}, trainDataset, evalDataset, collator, computeMetrics, callbacks = [] } = options
    if (typeof model?.namedParameters !== 'function' || typeof model.forward !== 'function') {
      throw new HeedError(
        'HEED_CONFIG_INVALID',
        `Trainer: model is ${show(model)}, expected one with namedParameters() and forward(). Give it as { model, ... }.`,
      )
    }
    this.model = model
    this.args = completeArguments(args)
    this.callbacks = callbacks
    this.createOptimizer = options.createOptimizer
    this.sampleTexts = options.sampleTexts
    this.world = joinWorld()
    this.#trainDataset = trainDataset
    this.#computeMetrics = computeMetrics
    this.#evalDataset = evalDataset
    this.#collator = collator ?? (causalLmCollator() as unknown as Collator<T>)
    if (this.args.evalStrategy !== 'no' && !evalDataset)
      throw missing('evalDataset', `evalStrategy is "${this.args.evalStrategy}"`)
    if (this.args.labelSmoothingFactor > 0 && model.hasOwnLoss) {
      throw new HeedError(
        'HEED_CONFIG_INVALID',
        `TrainingArguments: labelSmoothingFactor is ${this.args.labelSmoothingFactor}, expected 0 since the model has a loss of its own, which it would replace. Leave it out.`,
      )
    }
  }

  /**
   * Throws HEED_NUMERIC when a loss is NaN or infinite, HEED_ARGUMENT_INVALID, HEED_CONFIG_INVALID,
   * HEED_IO when the disk is full or another run has the folder, and what the model and loading a checkpoint throw.
   */
  async train(options: TrainOptions = {}): Promise<TrainOutput> {
    checkOptionNames('Trainer.train', options, trainOptions)
    const { resumeFromCheckpoint = false, signal } = options
    if (this.#isTraining) {
      throw new HeedError(
        'HEED_ARGUMENT_INVALID',
        'Trainer: train() was called while a run of this trainer goes on, expected one at a time. Await it first.',
      )
    }
    this.#isTraining = true
    try {
      return await this.#train(resumeFromCheckpoint, signal)
    } finally {
      this.#isTraining = false
    }
  }

  async #train(resumeFromCheckpoint: string | boolean, signal: AbortSignal | undefined): Promise<TrainOutput> {
    const dataset = this.#trainDataset
    if (!dataset) throw missing('trainDataset', 'train() was called')
    const plan = await batchPlan(dataset, this.#collator, this.args, this.world)
    checkNotEmpty('trainDataset', plan)
    const run = new TrainingRun(this, plan, dataset)
    this.state = run.state
    try {
      await run.begin(resumeFromCheckpoint, signal)
      this.state = run.state
      while (run.hasEpochsLeft) {
        await run.emit('onEpochBegin')
        for await (const batches of run.updates()) {
          await run.emit('onStepBegin')
          await run.update(batches, signal)
          await run.emit('onStepEnd')
          if (run.shouldInterrupt(signal)) run.interrupt()
          await run.logEvaluateSave(signal)
          if (run.shouldEpochStop) break
        }
        await run.endEpoch(signal)
      }
      return await run.finish()
    } catch (error) {
      await run.fail(error)
      throw error
    } finally {
      await run.dispose()
      trimMemorySoon()
    }
  }

  /**
   * `evalLoss` and its kin over `dataset`, `evalDataset` by default; `prefix` stands in for `eval`. With `labelSmoothingFactor`
   * the loss is of smoothed labels, as HF's; perplexity and bits per byte are of the labels as they are. Throws HEED_CONFIG_INVALID
   * without a data set, HEED_ARGUMENT_INVALID when it has no label, HEED_ABORTED, and what the model throws.
   */
  async evaluate(
    dataset: DatasetLike<T> | undefined = this.#evalDataset,
    { prefix = 'eval', signal }: { prefix?: string; signal?: AbortSignal } = {},
  ): Promise<Record<string, number>> {
    if (!dataset) throw missing('evalDataset', 'evaluate() was called', 'Give it or the Trainer one.')
    const plan = await this.#evaluationPlan(dataset)
    checkNotEmpty('evalDataset', plan)
    const evaluation = await evaluateModel(this.model, dataset, plan, {
      computeMetrics: this.#computeMetrics,
      labelSmoothing: this.args.labelSmoothingFactor,
      world: this.world,
      ...(signal && { signal }),
    })
    if (!evaluation) throw new HeedError('HEED_ABORTED', 'Trainer: the evaluation was cancelled.')
    const prefixed = (name: string): string => `${prefix}${name[0]!.toUpperCase()}${name.slice(1)}`
    return Object.fromEntries(Object.entries(evaluation).map(([name, value]) => [prefixed(name), value!]))
  }

  #evaluationPlan(dataset: DatasetLike<T>): Promise<BatchPlan<T>> {
    const { perDeviceEvalBatchSize, maxTokensPerBatch, seed } = this.args
    return batchPlan(dataset, this.#collator, {
      perDeviceTrainBatchSize: perDeviceEvalBatchSize,
      maxTokensPerBatch,
      gradientAccumulationSteps: 1,
      dataloaderDropLast: false,
      shuffle: false,
      seed,
      dataSeed: undefined,
    })
  }

  /** Writes the model to a folder, outputDir by default, ready for `fromPretrained`. Throws HEED_CONFIG_INVALID, HEED_IO. */
  async saveModel(folder: string | undefined = this.args.outputDir): Promise<void> {
    if (folder === undefined) throw missing('outputDir', 'saveModel() was called without a folder', 'Give it one.')
    if (!this.model.savePretrained)
      throw missing('model.savePretrained', 'saveModel() was called', 'Give the model one.')
    await this.model.savePretrained(folder)
  }
}

function missing(name: string, reason: string, mend = 'Give the Trainer one.'): HeedError {
  return new HeedError('HEED_CONFIG_INVALID', `Trainer: ${name} is undefined, expected one since ${reason}. ${mend}`)
}
