import { stepsOf, type TrainingArguments } from './arguments.ts'
import type { TrainableModel } from './model.ts'
import type { LogRecord, TrainerState } from './trainer-state.ts'

/** What a callback may ask of the loop: it does so once, after the event. */
export interface TrainerControl {
  shouldTrainingStop: boolean
  shouldEpochStop: boolean
  shouldLog: boolean
  shouldEvaluate: boolean
  shouldSave: boolean
}

/** How fast the run goes, for a progress line. */
export interface Progress {
  /** Since this `train()` began. */
  elapsedSeconds: number
  /** By the mean pace so far; undefined before the first step. */
  secondsLeft: number | undefined
  /** Since the last log. */
  tokensPerSecond: number
  /** Resident memory of the process, where it can be known. */
  memoryBytes: number | undefined
}

/** What only some events have. */
export interface EventDetails {
  /** Of `onLog`. */
  logs?: LogRecord
  /** Of `onEvaluate`. */
  metrics?: Record<string, number>
  /** Of `onSave`: the checkpoint's folder. */
  checkpoint?: string
}

export interface TrainerEvent extends EventDetails {
  args: TrainingArguments
  state: TrainerState
  control: TrainerControl
  model: TrainableModel
  /** Measured when read. */
  readonly progress: Progress
}

export type TrainerHook = (event: TrainerEvent) => void | Promise<void>

/** HF's `TrainerCallback`: any of these, called in the order in which callbacks were given. */
export interface TrainerCallback {
  /** Under this name its `exportState` goes into checkpoints. */
  readonly name?: string
  exportState?(): unknown
  loadState?(state: unknown): void
  onTrainBegin?: TrainerHook
  onTrainEnd?: TrainerHook
  onEpochBegin?: TrainerHook
  onEpochEnd?: TrainerHook
  onStepBegin?: TrainerHook
  /** Gradients are known, parameters not yet changed. */
  onPreOptimizerStep?: TrainerHook
  onStepEnd?: TrainerHook
  onEvaluate?: TrainerHook
  onLog?: TrainerHook
  onSave?: TrainerHook
}

export type TrainerEventName = Exclude<keyof TrainerCallback, 'name' | 'exportState' | 'loadState'>

/** Asks for logs, evaluations and checkpoints when the arguments say so, and stops at the last step. */
export const defaultFlow: TrainerCallback = {
  onStepEnd({ args, state, control }) {
    const { globalStep, maxSteps } = state
    const isDue = (steps: number): boolean => globalStep % stepsOf(steps, maxSteps) === 0
    const isLast = globalStep >= maxSteps
    if (globalStep === 1 && args.loggingFirstStep) control.shouldLog = true
    if (args.loggingStrategy === 'steps' && (isDue(args.loggingSteps) || isLast)) control.shouldLog = true
    if (args.evalStrategy === 'steps' && isDue(args.evalSteps || args.loggingSteps)) control.shouldEvaluate = true
    if (args.saveStrategy === 'steps' && (isDue(args.saveSteps) || isLast)) control.shouldSave = true
    if (isLast) control.shouldTrainingStop = true
  },
  onEpochEnd({ args, control }) {
    if (args.loggingStrategy === 'epoch') control.shouldLog = true
    if (args.evalStrategy === 'epoch') control.shouldEvaluate = true
    if (args.saveStrategy === 'epoch') control.shouldSave = true
  },
}

const hookNames = [
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
] as const satisfies TrainerEventName[]

/** The callback, called only in the first of several processes: for what prints or writes files. */
export function onFirstProcess(callback: TrainerCallback): TrainerCallback {
  const guarded: TrainerCallback = { ...callback }
  for (const name of hookNames) {
    const hook = callback[name]
    if (hook) guarded[name] = event => (event.state.isWorldProcessZero ? hook.call(callback, event) : undefined)
  }
  return guarded
}

/** The callbacks of a run, in their order. */
export class CallbackList {
  constructor(readonly callbacks: readonly TrainerCallback[]) {}

  /** Calls each in turn, and waits for it. */
  async emit(name: TrainerEventName, event: TrainerEvent): Promise<void> {
    for (const callback of this.callbacks) await callback[name]?.(event)
  }

  exportStates(): Record<string, unknown> {
    const named = this.callbacks.filter(({ name, exportState }) => name !== undefined && exportState)
    return Object.fromEntries(named.map(callback => [callback.name, callback.exportState!()]))
  }

  loadStates(states: Readonly<Record<string, unknown>>): void {
    for (const callback of this.callbacks) {
      if (callback.name !== undefined) callback.loadState?.(states[callback.name])
    }
  }
}
