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
import { show } from './checks.ts'
import type { TrainableModel } from './model.ts'
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
  settings: Record<string, number | string | boolean>
}

const files = { optimizer: 'optimizer.safetensors', state: 'trainer_state.json', resume: 'resume_state.json' }

/** Settings that decide which examples a step sees: a resumed run must have the same. */
export function resumeSettings(args: TrainingArguments, numExamples: number | undefined): ResumePoint['settings'] {
  const { perDeviceTrainBatchSize, gradientAccumulationSteps, seed, dataSeed = seed } = args
  const { maxTokensPerBatch, shuffle, dataloaderDropLast, optim } = args
  const batches = { perDeviceTrainBatchSize, maxTokensPerBatch, gradientAccumulationSteps, dataloaderDropLast }
  return { ...batches, seed, dataSeed, shuffle, optim, numTrainExamples: numExamples ?? 'unknown' }
}

/** Fills a folder with the model, the optimizer's state, `trainer_state.json` and the place in the data. */
export async function writeCheckpoint(
  folder: string,
  model: TrainableModel,
  optimizer: Optimizer,
  state: TrainerState,
  args: TrainingArguments,
  point: ResumePoint,
): Promise<void> {
  await model.savePretrained!(folder)
  await writeSafetensors(`${folder}/${files.optimizer}`, optimizer.stateDict())
  await writeFileAtomic(`${folder}/${files.state}`, `${JSON.stringify(stateToJson(state, args), null, 2)}\n`)
  await writeFileAtomic(`${folder}/${files.resume}`, `${JSON.stringify(point, null, 2)}\n`)
}

/** Loads model and optimizer in place. Throws HEED_FILE_NOT_FOUND, HEED_FILE_INVALID, HEED_STATE_DICT_MISMATCH, HEED_CONFIG_INVALID. */
export async function readCheckpoint(
  folder: string,
  model: TrainableModel,
  optimizer: Optimizer,
  settings: ResumePoint['settings'],
): Promise<{ state: TrainerState; point: ResumePoint }> {
  const state = stateFromJson(await readJson(`${folder}/${files.state}`))
  const point = (await readJson(`${folder}/${files.resume}`)) as unknown as ResumePoint
  checkSettings(folder, point.settings, settings)
  await loadWeights(folder, model)
  const tensors = new Map(Object.entries(await readSafetensors(`${folder}/${files.optimizer}`)))
  try {
    optimizer.loadStateDict(tensors, point.optimizerSteps)
  } finally {
    tf.dispose([...tensors.values()])
  }
  return { state, point }
}

async function readJson(file: string): Promise<Record<string, unknown>> {
  const value = parseStrictJson(await readText(file), file)
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw new HeedError('HEED_FILE_INVALID', `${file}: content is ${show(value)}, expected a JSON object.`)
}

function checkSettings(folder: string, saved: ResumePoint['settings'], own: ResumePoint['settings']): void {
  for (const [name, value] of Object.entries(own)) {
    if (saved?.[name] === value) continue
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      `${folder}: ${name} is ${show(value)}, expected ${show(saved?.[name])} as when the checkpoint was made. ` +
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
