import { HeedError, isHeedError, tf } from '@heed/tensor-backend'
import { folders, memoryInUse } from '#folder'
import type { TrainingArguments } from './arguments.ts'
import { noteBest } from './best-model.ts'
import {
  CallbackList,
  defaultFlow,
  type EventDetails,
  type Progress,
  type TrainerCallback,
  type TrainerControl,
  type TrainerEventName,
} from './callbacks.ts'
import { loadWeights, readCheckpoint, resumeSettings, writeCheckpoint } from './checkpoint.ts'
import { type Batch, countTokens } from './data/batch.ts'
import type { DatasetLike } from './data/sources.ts'
import { type BatchPlan, batchesPerEpoch, updatesOf } from './data/updates.ts'
import type { TrainableModel } from './model.ts'
import { nextTask } from './next-task.ts'
import { createOptimizer } from './optim/create-optimizer.ts'
import { gradientNorm } from './optim/gradient-clipping.ts'
import type { NamedParameter, Optimizer } from './optim/optimizer.ts'
import type { Schedule } from './optim/schedules.ts'
import { hash } from './random.ts'
import { metricsLog } from './report/metrics-log.ts'
import { checkNewRun, cleanRunFolder, lastCheckpoint, publishCheckpoint, rotateCheckpoints } from './run-folder.ts'
import { RunLog } from './run-log.ts'
import { planSteps } from './step-plan.ts'
import { type LogRecord, newState, type TrainerState } from './trainer-state.ts'
import { lossAndGradients } from './training-step.ts'

export interface TrainOutput {
  globalStep: number
  /** Mean loss of the steps of this run. */
  trainingLoss: number
  metrics: Record<string, number>
  /** True when a signal stopped it before its last step. */
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
  evaluate(dataset?: undefined, options?: { signal?: AbortSignal }): Promise<Record<string, number>>
}

/** One call of `train`: the optimizer and its schedule, the place in the data, the log, and the run's folder. */
export class TrainingRun<T> {
  state: TrainerState = newState()
  readonly #owner: RunOwner
  readonly #plan: BatchPlan<T>
  readonly #dataset: DatasetLike<T>
  readonly #parameters: NamedParameter[]
  readonly #optimizer: Optimizer
  readonly #schedule: Schedule
  readonly #callbacks: CallbackList
  readonly #log = new RunLog()
  readonly #control: TrainerControl = {
    shouldTrainingStop: false,
    shouldEpochStop: false,
    shouldLog: false,
    shouldEvaluate: false,
    shouldSave: false,
  }
  #learningRate = 0
  #epoch = 0
  #updatesInEpoch = 0
  #isInterrupted = false
  #firstStep = 0
  #startedAt = performance.now()
  #lastSave: { step: number; checkpoint: string } | undefined
  #unlock: (() => Promise<void>) | undefined

  constructor(owner: RunOwner, plan: BatchPlan<T>, dataset: DatasetLike<T>) {
    const { model, args, callbacks } = owner
    this.#owner = owner
    this.#plan = plan
    this.#dataset = dataset
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
        'Trainer: model.savePretrained is undefined, expected one since outputDir is set.',
      )
    }
    const { maxSteps, numTrainEpochs, schedule } = planSteps(args, plan)
    Object.assign(this.state, { maxSteps, numTrainEpochs })
    this.#schedule = schedule
    this.#optimizer = (owner.createOptimizer ?? (parameters => createOptimizer(args, parameters)))(this.#parameters)
    const log = args.outputDir === undefined ? [] : [metricsLog(`${args.outputDir}/metrics.jsonl`)]
    this.#callbacks = new CallbackList([defaultFlow, ...callbacks, ...log])
  }

  /** Takes the run's folder, loads the checkpoint to go on from, and tells the callbacks. */
  async begin(resumeFromCheckpoint: string | boolean): Promise<void> {
    const { model, args } = this.#owner
    const { outputDir } = args
    if (outputDir !== undefined) {
      await folders.make(outputDir)
      this.#unlock = await folders.lock(outputDir)
      await cleanRunFolder(outputDir)
    }
    const checkpoint =
      resumeFromCheckpoint === true ? outputDir && (await lastCheckpoint(outputDir)) : resumeFromCheckpoint || undefined
    if (checkpoint !== undefined) await this.#resume(checkpoint)
    else if (outputDir !== undefined) await checkNewRun(outputDir, args.overwriteOutputDir)
    model.train()
    await this.emit('onTrainBegin')
    if (args.evalOnStart && this.state.globalStep === 0) {
      this.#control.shouldEvaluate = true
      await this.logEvaluateSave()
    }
  }

  async #resume(checkpoint: string): Promise<void> {
    const { model, args } = this.#owner
    const settings = resumeSettings(args, this.#plan.order?.numExamples)
    const { maxSteps, numTrainEpochs } = this.state
    const { state, point } = await readCheckpoint(checkpoint, model, this.#optimizer, settings)
    this.state = { ...state, maxSteps, numTrainEpochs }
    this.#epoch = point.epoch
    this.#updatesInEpoch = point.updatesInEpoch
    this.#firstStep = state.globalStep
    this.#log.lossSum = point.lossSum
    this.#log.lossSteps = point.lossSteps
    this.#control.shouldTrainingStop = state.globalStep >= maxSteps
    this.#callbacks.loadStates(state.statefulCallbacks)
  }

  get hasEpochsLeft(): boolean {
    return this.#epoch < this.state.numTrainEpochs && !this.#control.shouldTrainingStop
  }

  get shouldEpochStop(): boolean {
    return this.#control.shouldTrainingStop || this.#control.shouldEpochStop
  }

  /** The batches of each update left in this epoch. */
  updates(): AsyncGenerator<Batch[]> {
    return updatesOf(this.#dataset, this.#plan, this.#epoch, this.#updatesInEpoch)
  }

  /** One step: the mean gradient of the batches, clipped, through the optimizer. */
  async update(batches: Batch[]): Promise<void> {
    const { model, args } = this.#owner
    const { globalStep } = this.state
    this.#learningRate = args.learningRate * this.#schedule(globalStep)
    const { loss, gradients } = lossAndGradients(model, this.#parameters, batches, {
      labelSmoothing: args.labelSmoothingFactor,
      seed: hash(args.seed, globalStep),
    })
    const norm = gradientNorm(gradients)
    await this.emit('onPreOptimizerStep')
    const clip = args.maxGradNorm > 0 ? { clip: { norm, maxNorm: args.maxGradNorm } } : {}
    this.#optimizer.step(gradients, { learningRate: this.#learningRate, ...clip })
    tf.dispose([...gradients.values()])
    this.state.globalStep += 1
    this.#updatesInEpoch += 1
    const tokens = batches.reduce((sum, batch) => sum + countTokens(batch), 0)
    this.state.numInputTokensSeen += tokens
    this.state.epoch = this.#epochDone()
    await this.#log.add(this.state.globalStep, loss, norm, tokens)
    await nextTask()
  }

  #epochDone(): number {
    const batches = batchesPerEpoch(this.#plan)
    if (batches === undefined) return this.state.globalStep / this.state.maxSteps
    return this.#epoch + Math.min(this.#updatesInEpoch * this.#plan.accumulation, batches) / batches
  }

  /** Ends the run after this step, with a checkpoint where there is a folder. */
  interrupt(): void {
    this.#isInterrupted = this.state.globalStep < this.state.maxSteps
    this.#control.shouldTrainingStop = true
    this.#control.shouldEvaluate = false
    this.#control.shouldSave = this.#owner.args.outputDir !== undefined
  }

  async endEpoch(signal: AbortSignal | undefined): Promise<void> {
    if (this.#isInterrupted) return
    if (this.#updatesInEpoch === 0) {
      throw new HeedError(
        'HEED_ARGUMENT_INVALID',
        `Trainer: trainDataset gave no example in epoch ${this.#epoch}, expected some. A stream must start anew each time it is iterated.`,
      )
    }
    this.#epoch += 1
    this.#updatesInEpoch = 0
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
    const isBest = shouldEvaluate && (await this.#evaluate(signal))
    const saveStrategy = this.#owner.args.saveStrategy
    if (signal?.aborted && !this.#isInterrupted) this.interrupt()
    if (saveStrategy === 'best' && !this.#isInterrupted ? isBest : shouldSave || this.#control.shouldSave)
      await this.#save()
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
      const metrics = await this.#owner.evaluate(undefined, signal && { signal })
      await this.#record(metrics)
      const isBest = noteBest(this.state, args, metrics)
      await this.emit('onEvaluate', { metrics })
      return isBest
    } catch (error) {
      if (signal?.aborted && isHeedError(error) && error.code === 'HEED_ABORTED') return false
      throw error
    } finally {
      model.train()
    }
  }

  async #save(): Promise<void> {
    const { model, args } = this.#owner
    const { globalStep } = this.state
    const { outputDir } = args
    if (outputDir === undefined || this.#lastSave?.step === globalStep) return
    if (this.state.bestGlobalStep === globalStep)
      this.state.bestModelCheckpoint = `${outputDir}/checkpoint-${globalStep}`
    this.state.statefulCallbacks = this.#callbacks.exportStates()
    const point = {
      epoch: this.#epoch,
      updatesInEpoch: this.#updatesInEpoch,
      optimizerSteps: this.#optimizer.stepCount,
      lossSum: this.#log.lossSum,
      lossSteps: this.#log.lossSteps,
      settings: resumeSettings(args, this.#plan.order?.numExamples),
    }
    const checkpoint = await publishCheckpoint(outputDir, globalStep, folder =>
      writeCheckpoint(folder, model, this.#optimizer, this.state, args, point),
    )
    this.#lastSave = { step: globalStep, checkpoint }
    await this.emit('onSave', { checkpoint })
    await rotateCheckpoints(outputDir, args.saveTotalLimit, this.state.bestModelCheckpoint)
  }

  async finish(): Promise<TrainOutput> {
    const { model, args } = this.#owner
    await this.#log.read()
    const { globalStep, bestModelCheckpoint } = this.state
    const steps = globalStep - this.#firstStep
    const trainingLoss = this.#log.totalLoss / Math.max(1, steps)
    const trainRuntime = (performance.now() - this.#startedAt) / 1000
    const metrics = { trainRuntime, trainStepsPerSecond: steps / trainRuntime, trainLoss: trainingLoss }
    if (!this.#isInterrupted) await this.#record(metrics)
    if (args.loadBestModelAtEnd && bestModelCheckpoint !== undefined && !this.#isInterrupted) {
      await loadWeights(bestModelCheckpoint, model)
    }
    await this.emit('onTrainEnd')
    const checkpoint = this.#lastSave?.checkpoint
    return { globalStep, trainingLoss, metrics, isInterrupted: this.#isInterrupted, checkpoint }
  }

  async dispose(): Promise<void> {
    this.#owner.model.eval()
    this.#log.dispose()
    this.#optimizer.dispose()
    await this.#unlock?.()
  }
}
