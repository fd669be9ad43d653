import { HeedError } from '@heed/tensor-backend'
import type { TrainingArguments } from './arguments.ts'
import { checkNumber, show } from './checks.ts'

/** One line of the log: `step`, `epoch` and what was measured then. */
export type LogRecord = { step: number; epoch: number } & Record<string, number>

/** HF's `TrainerState` in camelCase: how far a run has come. */
export interface TrainerState {
  epoch: number
  globalStep: number
  maxSteps: number
  numTrainEpochs: number
  numInputTokensSeen: number
  /** Among several processes, of which each runs all callbacks: true in the one that is to write files and to print. */
  isWorldProcessZero: boolean
  logHistory: LogRecord[]
  bestMetric: number | undefined
  bestGlobalStep: number | undefined
  bestModelCheckpoint: string | undefined
  /** What callbacks want back after a resume, by their names. */
  statefulCallbacks: Record<string, unknown>
}

export function newState(): TrainerState {
  return {
    epoch: 0,
    globalStep: 0,
    maxSteps: 0,
    numTrainEpochs: 0,
    numInputTokensSeen: 0,
    isWorldProcessZero: true,
    logHistory: [],
    bestMetric: undefined,
    bestGlobalStep: undefined,
    bestModelCheckpoint: undefined,
    statefulCallbacks: {},
  }
}

/** evalBitsPerByte -> eval_bits_per_byte. */
export const snakeCase = (name: string): string => name.replaceAll(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)

/** eval_bits_per_byte -> evalBitsPerByte. */
export const camelCase = (name: string): string => name.replaceAll(/_([a-z0-9])/g, (_, letter) => letter.toUpperCase())

export function renameKeys<T>(
  record: Readonly<Record<string, T>>,
  rename: (name: string) => string,
): Record<string, T> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [rename(name), value]))
}

/** `trainer_state.json` as `transformers` writes and reads it. */
export function stateToJson(state: TrainerState, args: TrainingArguments): Record<string, unknown> {
  return {
    best_global_step: state.bestGlobalStep ?? null,
    best_metric: state.bestMetric ?? null,
    best_model_checkpoint: state.bestModelCheckpoint ?? null,
    epoch: state.epoch,
    eval_steps: args.evalSteps || args.loggingSteps,
    global_step: state.globalStep,
    is_hyper_param_search: false,
    is_local_process_zero: true,
    is_world_process_zero: true,
    log_history: state.logHistory.map(record => renameKeys(record, snakeCase)),
    logging_steps: args.loggingSteps,
    max_steps: state.maxSteps,
    num_input_tokens_seen: state.numInputTokensSeen,
    num_train_epochs: state.numTrainEpochs,
    save_steps: args.saveSteps,
    stateful_callbacks: state.statefulCallbacks,
    total_flos: 0,
    train_batch_size: args.perDeviceTrainBatchSize,
    trial_name: null,
    trial_params: null,
  }
}

/** The reverse; what `transformers` keeps beside it is left out. `file` is for messages. Throws HEED_FILE_INVALID. */
export function stateFromJson(json: Readonly<Record<string, unknown>>, file: string): TrainerState {
  for (const name of ['epoch', 'global_step', 'max_steps', 'num_train_epochs']) {
    checkNumber(file, name, json[name], { min: 0 }, 'HEED_FILE_INVALID')
  }
  const history = (json.log_history ?? []) as Record<string, number>[]
  if (!Array.isArray(history)) {
    throw new HeedError('HEED_FILE_INVALID', `${file}: log_history is ${show(history)}, expected a list.`)
  }
  return {
    epoch: json.epoch as number,
    globalStep: json.global_step as number,
    maxSteps: json.max_steps as number,
    numTrainEpochs: json.num_train_epochs as number,
    numInputTokensSeen: (json.num_input_tokens_seen ?? 0) as number,
    isWorldProcessZero: true,
    logHistory: history.map(record => renameKeys(record, camelCase) as LogRecord),
    bestMetric: (json.best_metric ?? undefined) as number | undefined,
    bestGlobalStep: (json.best_global_step ?? undefined) as number | undefined,
    bestModelCheckpoint: (json.best_model_checkpoint ?? undefined) as string | undefined,
    statefulCallbacks: (json.stateful_callbacks ?? {}) as Record<string, unknown>,
  }
}
