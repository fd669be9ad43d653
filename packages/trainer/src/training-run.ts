import { HeedError, isHeedError, nextTask, tf, type World } from '@heed/tensor-backend'
import { memoryInUse } from '#folder'
import type { TrainingArguments } from './arguments.ts'
import { bestMetricName, noteBest } from './best-model.ts'
import {
  CallbackList,
  defaultFlow,
  type EventDetails,
  type Progress,
  type TrainerCallback,
  type TrainerControl,
  type TrainerEventName,
} from './callbacks.ts'
import { loadAverages, loadWeights } from './checkpoint.ts'
import { type Batch, countTokens } from './data/batch.ts'
import type { DatasetLike } from './data/sources.ts'
import type { BatchPlan } from './data/updates.ts'
import { DataParallel } from './data-parallel.ts'
import { DataPosition } from './data-position.ts'
import { GradientCheckpointing } from './gradient-checkpointing.ts'
import type { TrainableModel } from './model.ts'
import { createOptimizer } from './optim/create-optimizer.ts'
import { gradientNorm } from './optim/gradient-clipping.ts'
import type { NamedParameter, Optimizer } from './optim/optimizer.ts'
import { WeightAverage } from './optim/weight-average.ts'
import { hash } from './random.ts'
import { metricsLog } from './report/metrics-log.ts'
import { type RunReport, runReport, type TextSample } from './report/run-report.ts'
import { RunCheckpoints } from './run-checkpoints.ts'
import { RunLog } from './run-log.ts'
import { StepGuard } from './step-guard.ts'
import { planSteps, type StepPlan } from './step-plan.ts'
import { type LogRecord, newState, type TrainerState } from './trainer-state.ts'
import { labelsOf, lossAndGradients } from './training-step.ts'

export interface TrainOutput {
  globalStep: number
  /** Mean loss of the steps of this run. */
  trainingLoss: number
  metrics: Record<string, number>
  /** True when a signal stopped it before its last step, or before the evaluation due after that. */
  isInterrupted: boolean
  /** The last one saved. */
  checkpoint: string | undefined
}

/** What a run takes from its Trainer. */
interface RunOwner {
  readonly model: TrainableModel
  readonly args: TrainingArguments
  readonly callbacks: TrainerCallback[]
  readonly createOptimizer: ((parameters: NamedParameter[]) => Optimizer) | undefined
  readonly sampleTexts: (() => Promise<TextSample[]>) | undefined
  readonly world: World | undefined
  evaluate(dataset?: undefined, options?: { signal?: AbortSignal }): Promise<Record<string, number>>
}

/** One call of `train`: the optimizer and its schedule, the place in the data, the log, and the run's folder. */
export class TrainingRun<T> {
  state: TrainerState = newState()
  readonly #owner: RunOwner
  readonly #position: DataPosition<T>
  readonly #parameters: NamedParameter[]
  readonly #optimizer: Optimizer
  readonly #average: WeightAverage | undefined
  readonly #checkpointing: GradientCheckpointing | undefined
  readonly #plan: StepPlan
  readonly #callbacks: CallbackList
  readonly #guard: StepGuard
  readonly #log: RunLog
  readonly #report: RunReport | undefined
  readonly #parallel: DataParallel
  readonly #checkpoints: RunCheckpoints
  readonly #control: TrainerControl = {
    shouldTrainingStop: false,
    shouldEpochStop: false,
    shouldLog: false,
    shouldEvaluate: false,
    shouldSave: false,
  }
  #learningRate = 0
  /** Whether the run was stopped before, or in, the evaluation of the last step. */
  #isEvaluationDue = false
  #isInterrupted = false
  /** Whether some process was asked to stop. */
  #isStopAsked = false
  #firstStep = 0
  /** Labels learned from, in the updates of this run. */
  #numLabels = 0
  #startedAt = performance.now()
  #timesBefore = { communicating: 0, waiting: 0 }

  constructor(owner: RunOwner, plan: BatchPlan<T>, dataset: DatasetLike<T>) {
    const { model, args, callbacks } = owner
    this.#owner = owner
    this.#position = new DataPosition(dataset, plan)
    this.#parameters = [...model.namedParameters()].filter(([, value]) => value.trainable)
    if (this.#parameters.length === 0) {
      throw new HeedError(
        'HEED_CONFIG_INVALID',
        'Trainer: model has 0 trainable parameters, expected at least one. Unfreeze some.',
      )
    }
    if (args.outputDir !== undefined && !model.savePretrained) {
      throw new HeedError(
        'HEED_CONFIG_INVALID',
        'Trainer: model.savePretrained is undefined, expected one since outputDir is set. Give the model one, or leave outputDir out.',
      )
    }
    this.#plan = planSteps(args, plan)
    const { maxSteps, numTrainEpochs } = this.#plan
    Object.assign(this.state, { maxSteps, numTrainEpochs })
    this.#parallel = new DataParallel(owner.world, this.#parameters, args.shardOptimizer)
    this.#guard = new StepGuard(model, this.#parallel, args.labelSmoothingFactor)
    this.#log = new RunLog(this.#parallel, this.#guard)
    this.state.isWorldProcessZero = this.#parallel.isFirst
    this.#checkpointing = args.gradientCheckpointing ? new GradientCheckpointing(model) : undefined
    const { owned } = this.#parallel
    const optimizer = (owner.createOptimizer ?? (parameters => createOptimizer(args, parameters)))(owned)
    this.#average = args.emaDecay > 0 ? new WeightAverage(optimizer, owned, args.emaDecay) : undefined
    this.#optimizer = this.#average ?? optimizer
    const numExamples = plan.order?.numExamples
    this.#checkpoints = new RunCheckpoints({
      ...{ model, optimizer: this.#optimizer, args, parallel: this.#parallel, numExamples },
    })
    const { outputDir } = args
    this.#report = outputDir === undefined ? undefined : runReport(outputDir, owner.sampleTexts)
    const files = this.#report ? [metricsLog(`${outputDir}/metrics.jsonl`), this.#report.callback] : []
    this.#callbacks = new CallbackList([defaultFlow, ...callbacks, ...files])
  }

  /** Takes the run's folder, loads the checkpoint to go on from, and tells the callbacks. */
  async begin(resumeFromCheckpoint: string | boolean, signal: AbortSignal | undefined): Promise<void> {
    const { model, args } = this.#owner
    const checkpoint = await this.#checkpoints.open(resumeFromCheckpoint)
    if (checkpoint === undefined) await this.#checkpoints.startAnew()
    else await this.#resume(checkpoint)
    this.#parallel.shareAll(this.#parameters)
    this.#guard.begin(this.#parameters)
    this.#timesBefore = this.#parallel.world?.times() ?? this.#timesBefore
    model.train()
    await this.emit('onTrainBegin')
    if (this.#isEvaluationDue || (args.evalOnStart && this.state.globalStep === 0)) {
      this.#control.shouldEvaluate = true
      this.#control.shouldSave = this.#control.shouldTrainingStop // no later step will
      await this.logEvaluateSave(signal)
    }
  }

  async #resume(checkpoint: string): Promise<void> {
    const { maxSteps, numTrainEpochs, isWorldProcessZero } = this.state
    const { state, point } = await this.#checkpoints.read(checkpoint)
    this.state = { ...state, maxSteps, numTrainEpochs, isWorldProcessZero }
    this.#position.epoch = point.epoch
    this.#position.updates = point.updatesInEpoch
    this.#firstStep = state.globalStep
    this.#log.lossSum = point.lossSum
    this.#log.lossSteps = point.lossSteps
    this.#isEvaluationDue = point.isEvaluationDue === true && this.#owner.args.evalStrategy !== 'no'
    if (point.metricSchedule?.type === this.#owner.args.lrSchedulerType) {
      this.#plan.metricSchedule?.loadStateDict(point.metricSchedule.state, checkpoint)
    }
    this.#control.shouldTrainingStop = state.globalStep >= maxSteps
    this.#callbacks.loadStates(state.statefulCallbacks)
  }

  get hasEpochsLeft(): boolean {
    return this.#position.epoch < this.state.numTrainEpochs && !this.#control.shouldTrainingStop
  }

  get shouldEpochStop(): boolean {
    return this.#control.shouldTrainingStop || this.#control.shouldEpochStop
  }

  /** The batches of each update left in this epoch. */
  updates(): AsyncGenerator<Batch[]> {
    return this.#position.rest()
  }

  /** One step: the mean gradient of the batches, clipped, through the optimizer. */
  async update(batches: Batch[], signal?: AbortSignal): Promise<void> {
    const { model, args } = this.#owner
    const { globalStep } = this.state
    const { rank, world } = this.#parallel
    this.#learningRate = this.#plan.learningRateAt(globalStep)
    const ownTokens = batches.reduce((sum, batch) => sum + countTokens(batch), 0)
    const [numLabels, tokens, stops] = this.#parallel.sum([labelsOf(batches), ownTokens, signal?.aborted ? 1 : 0]) as [
      number,
      number,
      number,
    ]
    this.#isStopAsked = stops > 0
    this.#numLabels += numLabels
    const dropoutSeed = rank === 0 ? hash(args.seed, globalStep) : hash(args.seed, globalStep, rank)
    const { loss, gradients } = lossAndGradients(model, this.#parameters, batches, {
      labelSmoothing: args.labelSmoothingFactor,
      seed: dropoutSeed,
      ...{ numLabels, world, checkpointing: this.#checkpointing },
    })
    const norm = gradientNorm(gradients)
    try {
      const placeOf = (places: readonly number[]): string => this.#position.placeOf(places)
      this.#guard.check({ number: globalStep + 1, loss, norm, batches, gradients, seed: dropoutSeed, placeOf })
      await this.emit('onPreOptimizerStep')
      const clip = args.maxGradNorm > 0 ? { clip: { norm, maxNorm: args.maxGradNorm } } : {}
      this.#optimizer.step(gradients, { learningRate: this.#learningRate, ...clip })
    } catch (error) {
      tf.dispose([loss, norm])
      throw error
    } finally {
      tf.dispose([...gradients.values()])
    }
    this.#parallel.shareOwned()
    this.state.globalStep += 1
    this.#position.updates += 1
    this.state.numInputTokensSeen += tokens
    this.state.epoch = this.#position.epochsDone(this.state.globalStep / this.state.maxSteps)
    await this.#log.add(this.state.globalStep, loss, norm, tokens)
    await nextTask()
  }

  /** Whether to end the run after this step: processes decide it together, at the beginning of a step. */
  shouldInterrupt(signal: AbortSignal | undefined): boolean {
    return this.#parallel.world ? this.#isStopAsked : (signal?.aborted ?? false)
  }

  /** Ends the run after this step, with a checkpoint where there is a folder. */
  interrupt(): void {
    this.#isEvaluationDue ||= this.#control.shouldEvaluate
    this.#isInterrupted = this.state.globalStep < this.state.maxSteps || this.#isEvaluationDue
    this.#control.shouldTrainingStop = true
    this.#control.shouldEvaluate = false
    this.#control.shouldSave = this.#owner.args.outputDir !== undefined
  }

  async endEpoch(signal: AbortSignal | undefined): Promise<void> {
    if (this.#isInterrupted) return
    this.#position.endEpoch(this.#control.shouldTrainingStop)
    if (this.#numLabels === 0 && this.state.globalStep > this.#firstStep) throw noLabels()
    await this.emit('onEpochEnd')
    await this.logEvaluateSave(signal)
  }

  /** Tells all callbacks. */
  emit(event: TrainerEventName, details: EventDetails = {}): Promise<void> {
    const { model, args } = this.#owner
    const { state } = this
    if (event === 'onEpochBegin') this.#control.shouldEpochStop = false
    const measure = (): Progress => this.#progress()
    return this.#callbacks.emit(event, {
      ...{ args, state, control: this.#control, model },
      get progress() {
        return measure()
      },
      ...details,
    })
  }

  #progress(): Progress {
    const elapsedSeconds = (performance.now() - this.#startedAt) / 1000
    const stepsDone = this.state.globalStep - this.#firstStep
    const stepsLeft = this.state.maxSteps - this.state.globalStep
    return {
      elapsedSeconds,
      secondsLeft: stepsDone > 0 ? (elapsedSeconds / stepsDone) * stepsLeft : undefined,
      tokensPerSecond: this.#log.tokensPerSecond,
      memoryBytes: memoryInUse(),
    }
  }

  /** Does what the control asks for, in HF's order. */
  async logEvaluateSave(signal?: AbortSignal): Promise<void> {
    const { shouldLog, shouldEvaluate, shouldSave } = this.#control
    Object.assign(this.#control, { shouldLog: false, shouldEvaluate: false, shouldSave: false })
    if (shouldLog) await this.#logStep()
    if (!shouldEvaluate && !shouldSave) return
    const startedAt = performance.now()
    await this.#log.read() // a NaN must neither be evaluated nor saved
    const ownSignal = this.#parallel.world ? undefined : signal
    const isBest = shouldEvaluate && (await this.#evaluate(ownSignal))
    const { saveStrategy, loadBestModelAtEnd } = this.#owner.args
    if (ownSignal?.aborted && !this.#isInterrupted) this.interrupt()
    const isDue = shouldSave || this.#control.shouldSave || (loadBestModelAtEnd && isBest)
    if (saveStrategy === 'best' && !this.#isInterrupted ? isBest : isDue) await this.#save()
    this.#control.shouldSave = false
    this.#log.skip(performance.now() - startedAt)
  }

  async #logStep(): Promise<void> {
    await this.#log.read()
    if (this.#log.lossSteps === 0) return
    const { tokensPerSecond, memoryBytes } = this.#progress()
    await this.#record({
      loss: this.#log.takeLoss(),
      gradNorm: this.#log.gradNorm,
      learningRate: this.#learningRate,
      tokensPerSecond,
      ...(memoryBytes !== undefined && { memoryBytes }),
    })
  }

  async #record(values: Record<string, number>): Promise<void> {
    const { epoch, globalStep, logHistory } = this.state
    const logs: LogRecord = { ...values, epoch, step: globalStep }
    logHistory.push(logs)
    await this.emit('onLog', { logs })
  }

  /** Whether the metrics are the best so far. */
  async #evaluate(signal: AbortSignal | undefined): Promise<boolean> {
    const { args, model } = this.#owner
    try {
      this.#exchangeAverages('apply')
      const metrics = await this.#owner.evaluate(undefined, signal && { signal })
      await this.#record(metrics)
      const isBest = noteBest(this.state, args, metrics)
      this.#isEvaluationDue = false
      if (this.state.globalStep > 0) this.#plan.metricSchedule?.step(metrics[bestMetricName(args)]!)
      await this.emit('onEvaluate', { metrics })
      return isBest
    } catch (error) {
      if (!(signal?.aborted && isHeedError(error) && error.code === 'HEED_ABORTED')) throw error
      this.#isEvaluationDue = true
      return false
    } finally {
      this.#exchangeAverages('restore')
      model.train()
    }
  }

  /** Gives the model the averages of its weights, where they are kept, or its own weights back. */
  #exchangeAverages(direction: 'apply' | 'restore'): void {
    if (!this.#average) return
    this.#average[direction]()
    this.#parallel.shareOwned()
  }

  async #save(): Promise<void> {
    const { epoch, updates: updatesInEpoch } = this.#position
    const { lossSum, lossSteps } = this.#log
    this.state.statefulCallbacks = this.#callbacks.exportStates()
    const { metricSchedule } = this.#plan
    const type = this.#owner.args.lrSchedulerType
    const checkpoint = await this.#checkpoints.save(this.state, {
      ...{ epoch, updatesInEpoch, lossSum, lossSteps, isEvaluationDue: this.#isEvaluationDue },
      ...(metricSchedule && { metricSchedule: { type, state: metricSchedule.stateDict() } }),
    })
    if (checkpoint === undefined) return
    await this.emit('onSave', { checkpoint })
    await this.#checkpoints.rotate(this.state.bestModelCheckpoint)
  }

  async finish(): Promise<TrainOutput> {
    const { model, args } = this.#owner
    await this.#log.read()
    const { globalStep, bestModelCheckpoint } = this.state
    const steps = globalStep - this.#firstStep
    const trainingLoss = this.#log.totalLoss / Math.max(1, steps)
    const trainRuntime = (performance.now() - this.#startedAt) / 1000
    const metrics: Record<string, number> = {
      trainRuntime,
      trainStepsPerSecond: steps / trainRuntime,
      trainLoss: trainingLoss,
      ...this.#communication(trainRuntime),
    }
    if (!this.#isInterrupted) await this.#record(metrics)
    if (!this.#isInterrupted) {
      if (args.loadBestModelAtEnd && bestModelCheckpoint !== undefined) {
        await loadWeights(bestModelCheckpoint, model)
        if (this.#average) await loadAverages(bestModelCheckpoint, model)
      } else this.#exchangeAverages('apply')
    }
    await this.emit('onTrainEnd')
    const isInterrupted = this.#isInterrupted
    return { globalStep, trainingLoss, metrics, isInterrupted, checkpoint: this.#checkpoints.last }
  }

  /** Among several processes: the parts of the time in which messages were on their way, and in which they were waited for. */
  #communication(seconds: number): Record<string, number> {
    if (!this.#parallel.world) return {}
    const { communicating, waiting } = this.#parallel.world.times()
    const share = (total: number, before: number): number => (total - before) / seconds
    return {
      communicationShare: share(communicating, this.#timesBefore.communicating),
      waitingShare: share(waiting, this.#timesBefore.waiting),
    }
  }

  /** Tells the report and the other processes that the run ends by an error. */
  async fail(error: unknown): Promise<void> {
    await this.#report?.fail(error).catch(() => {}) // the first error is the one to tell
    this.#parallel.world?.fail()
  }

  async dispose(): Promise<void> {
    this.#owner.model.eval()
    this.#checkpointing?.dispose()
    this.#log.dispose()
    this.#optimizer.dispose()
    await this.#checkpoints.close()
  }
}

function noLabels(): HeedError {
  return new HeedError(
    'HEED_ARGUMENT_INVALID',
    'Trainer: trainDataset gave 0 labels in an epoch, expected some. ' +
      'Labels of -100, and the first of a row for the next token, do not count.',
  )
}
