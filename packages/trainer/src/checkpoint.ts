import {
  HeedError,
  openSafetensors,
  parseStrictJson,
  readSafetensors,
  readShardedIndex,
  readText,
  tf,
  writeFileAtomic,
  writeSafetensors,
} from '@heed/tensor-backend'
import { folders } from '#folder'
import type { TrainingArguments } from './arguments.ts'
import { checkNumber, show } from './checks.ts'
import type { Share } from './data/updates.ts'
import type { TrainableModel } from './model.ts'
import type { MetricScheduleState } from './optim/metric-schedules.ts'
import type { Optimizer } from './optim/optimizer.ts'
import { stateFromJson, stateToJson, type TrainerState } from './trainer-state.ts'

/**
 * Where in the data and in the log a checkpoint was made, and what must stay equal for the run to go on exactly.
 * The orders of examples, dropout masks and masked tokens are functions of the seed and of this place.
 */
export interface ResumePoint {
  epoch: number
  /** Updates done in that epoch. */
  updatesInEpoch: number
  optimizerSteps: number
  /** Losses since the last log, whose mean the next log will give. */
  lossSum: number
  lossSteps: number
  /** Whether the run was stopped before, or in, an evaluation at this step. */
  isEvaluationDue?: boolean
  /** What a learning rate that follows a metric goes on from. */
  metricSchedule?: { type: string; state: MetricScheduleState }
  settings: Record<string, number | string | boolean>
}

const files = { optimizer: 'optimizer.safetensors', state: 'trainer_state.json', resume: 'resume_state.json' }

/** Settings that decide which examples a step sees: a resumed run must have the same. */
export function resumeSettings(
  args: TrainingArguments,
  numExamples: number | undefined,
  numProcesses: number,
): ResumePoint['settings'] {
  const { perDeviceTrainBatchSize, gradientAccumulationSteps, seed, dataSeed = seed } = args
  const { maxTokensPerBatch, shuffle, dataloaderDropLast, optim } = args
  const batches = { perDeviceTrainBatchSize, maxTokensPerBatch, gradientAccumulationSteps, dataloaderDropLast }
  return { ...batches, numProcesses, seed, dataSeed, shuffle, optim, numTrainExamples: numExamples ?? 'unknown' }
}

/** Writes the part of the optimizer's state that this process keeps. */
export async function writeOptimizerShard(folder: string, optimizer: Optimizer, { rank, size }: Share): Promise<void> {
  const number = (value: number): string => String(value).padStart(5, '0')
  await writeSafetensors(
    `${folder}/optimizer-${number(rank + 1)}-of-${number(size)}.safetensors`,
    optimizer.stateDict(),
  )
}

/** The optimizer's state in a folder, from one file or from the shards of several processes. */
async function readOptimizerState(folder: string): Promise<Map<string, tf.Tensor>> {
  const shards = (await folders.list(folder)).filter(name => /^optimizer-\d+-of-\d+\.safetensors$/.test(name))
  const names = shards.length > 0 ? shards : [files.optimizer]
  const parts = await Promise.all(names.map(name => readSafetensors(`${folder}/${name}`)))
  return new Map(parts.flatMap(part => Object.entries(part)))
}

/** Gives the model the averages of its weights that a checkpoint with `emaDecay` holds. Throws HEED_FILE_NOT_FOUND. */
export async function loadAverages(folder: string, model: TrainableModel): Promise<void> {
  const state = await readOptimizerState(folder)
  for (const [name, value] of model.namedParameters()) {
    const average = state.get(`ema.${name}`)
    if (average) value.assign(average)
  }
  tf.dispose([...state.values()])
}

/** Fills a folder with the model, the optimizer's state, `trainer_state.json` and the place in the data. */
export async function writeCheckpoint(
  folder: string,
  model: TrainableModel,
  optimizer: Optimizer | undefined,
  state: TrainerState,
  args: TrainingArguments,
  point: ResumePoint,
): Promise<void> {
  await model.savePretrained!(folder)
  if (optimizer) await writeSafetensors(`${folder}/${files.optimizer}`, optimizer.stateDict())
  await writeFileAtomic(`${folder}/${files.state}`, `${JSON.stringify(stateToJson(state, args), null, 2)}\n`)
  await writeFileAtomic(`${folder}/${files.resume}`, `${JSON.stringify(point, withNonFinite, 2)}\n`)
}

/** Loads model and optimizer in place. Throws HEED_FILE_NOT_FOUND, HEED_FILE_INVALID, HEED_STATE_DICT_MISMATCH, HEED_CONFIG_INVALID. */
export async function readCheckpoint(
  folder: string,
  model: TrainableModel,
  optimizer: Optimizer,
  settings: ResumePoint['settings'],
  isSharded = false,
): Promise<{ state: TrainerState; point: ResumePoint }> {
  const state = await readTrainerState(folder)
  const point = await readResumePoint(folder)
  checkSettings(folder, point.settings, settings)
  const tensors = await readOptimizerState(folder)
  const owned = optimizer.stateDict()
  const isMine = ([name]: [string, tf.Tensor]): boolean => !isSharded || owned.has(name)
  try {
    await loadWeights(folder, model)
    optimizer.loadStateDict(new Map([...tensors].filter(isMine)), point.optimizerSteps)
  } finally {
    tf.dispose([...tensors.values()])
  }
  return { state, point }
}

/** How far the run had come that left a checkpoint, with its log. Throws HEED_FILE_NOT_FOUND, HEED_FILE_INVALID. */
export async function readTrainerState(folder: string): Promise<TrainerState> {
  const file = `${folder}/${files.state}`
  return stateFromJson(await readJson(file), file)
}

async function readResumePoint(folder: string): Promise<ResumePoint> {
  const file = `${folder}/${files.resume}`
  const point = await readJson(file)
  for (const name of ['epoch', 'updatesInEpoch', 'optimizerSteps', 'lossSteps']) {
    checkNumber(file, name, point[name], { min: 0, isInteger: true }, 'HEED_FILE_INVALID')
  }
  checkNumber(file, 'lossSum', point.lossSum, {}, 'HEED_FILE_INVALID')
  const saved = point.metricSchedule as ResumePoint['metricSchedule']
  if (saved === undefined) return point as unknown as ResumePoint
  if (typeof saved?.type !== 'string' || typeof saved.state !== 'object' || saved.state === null) {
    throw new HeedError(
      'HEED_FILE_INVALID',
      `${file}: metricSchedule is ${show(saved)}, expected an object with type and state. Resume from another checkpoint.`,
    )
  }
  const state = JSON.parse(JSON.stringify(saved.state), fromNonFinite)
  return { ...(point as unknown as ResumePoint), metricSchedule: { type: saved.type, state } }
}

/** JSON has no numbers that are infinite or NaN: they become their names. */
const withNonFinite = (_: string, value: unknown): unknown =>
  typeof value === 'number' && !Number.isFinite(value) ? String(value) : value

const fromNonFinite = (_: string, value: unknown): unknown =>
  typeof value === 'string' && ['NaN', 'Infinity', '-Infinity'].includes(value) ? Number(value) : value

async function readJson(file: string): Promise<Record<string, unknown>> {
  const value = parseStrictJson(await readText(file), file)
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw new HeedError('HEED_FILE_INVALID', `${file}: content is ${show(value)}, expected a JSON object.`)
}

function checkSettings(folder: string, saved: ResumePoint['settings'], own: ResumePoint['settings']): void {
  const before: ResumePoint['settings'] = { numProcesses: 1, ...saved }
  for (const [name, value] of Object.entries(own)) {
    if (before[name] === value) continue
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      `${folder}: ${name} is ${show(value)}, expected ${show(before[name])} as when the checkpoint was made. ` +
        `Set it back, or start a new run from the weights of ${folder}.`,
    )
  }
}

/** The weight files of a folder as `transformers` and PEFT lay them out: one, or shards with their index. */
async function weightFiles(folder: string): Promise<string[]> {
  const names = await folders.list(folder)
  if (names.includes('adapter_model.safetensors')) return [`${folder}/adapter_model.safetensors`]
  if (!names.includes('model.safetensors.index.json')) return [`${folder}/model.safetensors`]
  const { weightMap } = await readShardedIndex(`${folder}/model.safetensors.index.json`)
  return [...new Set(weightMap.values())].map(name => `${folder}/${name}`)
}

/** Copies the weights of a folder into the model's parameters. Throws HEED_STATE_DICT_MISMATCH before any is changed. */
export async function loadWeights(folder: string, model: TrainableModel): Promise<void> {
  const parameters = new Map(model.namedParameters())
  const paths = await weightFiles(folder)
  const shapes = new Map<string, readonly number[]>()
  for (const path of paths) {
    const file = await openSafetensors(path)
    for (const [name, { shape }] of file.tensors) shapes.set(name, shape)
    await file.close()
  }
  for (const [name, { shape }] of parameters) {
    const found = shapes.get(name)
    if (found?.join() === shape.join()) continue
    throw new HeedError(
      'HEED_STATE_DICT_MISMATCH',
      `${folder}: ${name} is ${found ? `of shape [${found.join(', ')}]` : 'missing'}, expected shape [${shape.join(', ')}]. ` +
        'The checkpoint is of another model.',
    )
  }
  for (const path of paths) {
    const tensors = await readSafetensors(path)
    for (const [name, tensor] of Object.entries(tensors)) parameters.get(name)?.assign(tensor)
    tf.dispose(tensors)
  }
}
