import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { HeedError } from '@heed/tensor-backend'
import { type DpoConfig, type LoraConfig, streamDataset, type TrainingArguments } from '@heed/trainer'
import { type DatasetChoice, isDataset } from '../dataset-name.ts'
import { checkKeys, readRecipeFile } from '../recipe-file.ts'
import { withoutUndefined } from '../without-undefined.ts'
import { type FinetuneTask, finetuneTasks, type QuantizedType, quantizedTypes } from './choices.ts'

/** The part of PEFT's `LoraConfig` that is for a recipe to choose. */
export type LoraChoice = Partial<Pick<LoraConfig, 'r' | 'loraAlpha' | 'loraDropout' | 'targetModules' | 'useRslora'>>

/** A fine-tuning, from a file, from options, or from both. */
export interface FinetuneRecipe {
  task: FinetuneTask
  /** An HF folder or hub id, or a GGUF file. */
  model: string
  data: {
    /** Files, or data sets: their folders, or names on the hub. */
    train: string[]
    /** As HF's `datasets` takes it: `train`, which is the default, or `train[:90%]`. */
    split?: string
    /** Of a data set that has several. */
    config?: string
    /** Where the text is in rows; `text` by default. */
    textColumn?: string
    /** Files or data sets of their own. */
    validation?: string[]
    /** The split of them, or without them of the training data, to validate with. Without both, `validationSplit` of that. */
    evalSplit?: string
    validationSplit?: number
  }
  /** Adapters instead of the weights themselves. */
  lora?: LoraChoice
  /** How a preference is learned. */
  dpo?: DpoConfig
  /** Keeps the matrices of the base in few bits; with `lora` only. */
  quantize?: QuantizedType
  /** The embeddings and so many layers stay as they are. */
  freezeLayers?: number
  /** The most tokens of an example. */
  blockSize?: number
  /** Writes the model with its adapter in its weights too. */
  merge?: boolean
  /** What `report.html` shows the answers to. */
  samplePrompts?: string[]
  /** As `Trainer` takes them. */
  training: Partial<TrainingArguments>
}

/** What a file or options say; the rest is chosen by `completeRecipe`. */
export type GivenRecipe = Partial<Omit<FinetuneRecipe, 'data'>> & { data?: Partial<FinetuneRecipe['data']> }

const keys = [
  'task',
  'model',
  'data',
  'lora',
  'dpo',
  'quantize',
  'freezeLayers',
  'blockSize',
  'merge',
  'samplePrompts',
  'training',
]
const dataKeys = ['train', 'split', 'config', 'textColumn', 'validation', 'evalSplit', 'validationSplit']
const dpoKeys = ['beta', 'labelSmoothing']
const loraKeys = ['r', 'loraAlpha', 'loraDropout', 'targetModules', 'useRslora']

/**
 * Reads a recipe file; the files it names lie in `folder`, by default beside it. `training` and the numbers of `lora` are
 * checked by whom they are for. Throws HEED_FILE_NOT_FOUND, HEED_FILE_INVALID, HEED_CONFIG_INVALID.
 */
export async function readFinetuneRecipe(file: string, folder: string = dirname(file)): Promise<GivenRecipe> {
  const recipe = await readRecipeFile(file, keys)
  checkKeys(file, '', recipe, keys)
  const check = (name: string, isRight: (value: unknown) => boolean, rule: string): void => {
    const value = name.split('.').reduce<unknown>((part, key) => (part as Record<string, unknown>)?.[key], recipe)
    if (value === undefined || isRight(value)) return
    throw new HeedError('HEED_CONFIG_INVALID', `${file}: ${name} is ${JSON.stringify(value)}, expected ${rule}.`)
  }
  const oneOf = (choices: readonly string[]) => [isOneOf(choices), `one of ${choices.join(', ')}`] as const
  check('task', ...oneOf(finetuneTasks))
  check('model', isText, 'an HF folder or hub id, or a .gguf file')
  for (const name of ['data', 'lora', 'dpo', 'training']) check(name, isObject, 'an object. See examples/recipes')
  checkKeys(file, 'data.', (recipe.data ?? {}) as Record<string, unknown>, dataKeys)
  checkKeys(file, 'lora.', (recipe.lora ?? {}) as Record<string, unknown>, loraKeys)
  checkKeys(file, 'dpo.', (recipe.dpo ?? {}) as Record<string, unknown>, dpoKeys)
  for (const name of ['data.train', 'data.validation']) check(name, isTextOrTexts, 'a file name, or a list of them')
  for (const name of ['data.split', 'data.config', 'data.textColumn', 'data.evalSplit']) check(name, isText, 'a text')
  check('data.validationSplit', value => isNumber(value) && value > 0 && value < 1, 'a number between 0 and 1')
  check('lora.targetModules', isTexts, 'a list of names of layers, such as q_proj')
  check('quantize', ...oneOf(quantizedTypes))
  check('freezeLayers', value => Number.isSafeInteger(value) && Number(value) >= 0, 'a whole number of layers')
  check('blockSize', value => Number.isSafeInteger(value) && Number(value) >= 2, 'a whole number of at least 2')
  check('samplePrompts', isTexts, 'a list of texts')
  check('merge', value => typeof value === 'boolean', 'true or false')
  const { model, data } = recipe as GivenRecipe
  const found = (name: string): string => resolve(join(folder, name))
  const sourceOf = async (name: string): Promise<string> =>
    existsSync(found(name)) || !(await isDataset(name, data ?? {})) ? found(name) : name
  const sourcesOf = (names: string | string[]): Promise<string[]> => Promise.all([names].flat().map(sourceOf))
  return {
    ...(recipe as GivenRecipe),
    ...(model !== undefined && { model: existsSync(found(model)) ? found(model) : model }),
    ...(data && {
      data: {
        ...data,
        ...(data.train && { train: await sourcesOf(data.train) }),
        ...(data.validation && { validation: await sourcesOf(data.validation) }),
      },
    }),
  }
}

const isText = (value: unknown): boolean => typeof value === 'string' && value !== ''
const isTexts = (value: unknown): boolean => Array.isArray(value) && value.length > 0 && value.every(isText)
const isTextOrTexts = (value: unknown): boolean => isText(value) || isTexts(value)
const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value)
const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value)
const isOneOf = (choices: readonly unknown[]) => (value: unknown) => choices.includes(value)

/**
 * The recipe of a file with what options say in its place. Throws HEED_ARGUMENT_INVALID when a model or data are missing, or
 * when parts do not go together, and as `streamDataset` where a data set is to tell its task.
 */
export async function completeRecipe(file: GivenRecipe, options: GivenRecipe): Promise<FinetuneRecipe> {
  const { lora, ...given } = { ...file, ...options }
  const { evalSplit, validationSplit, ...others } = file.data ?? {}
  const saysPart = options.data?.evalSplit !== undefined || options.data?.validationSplit !== undefined
  const data = { ...others, ...(!saysPart && withoutUndefined({ evalSplit, validationSplit })), ...options.data }
  const { model, quantize, freezeLayers = 0, merge } = given
  const isLora = lora !== undefined
  if (model === undefined) throw invalid('the model is missing', 'an HF folder or hub id, or a .gguf file', 'Name one.')
  if (!data.train || data.train.length === 0) throw invalid('files are missing', 'some to learn from', 'Name them.')
  if (quantize && !isLora) {
    throw invalid(
      `--quantize is ${quantize}`,
      'it with --lora-r only, since weights in few bits do not learn',
      'Add it.',
    )
  }
  if (freezeLayers > 0 && isLora) {
    throw invalid(
      `--freeze-layers is ${freezeLayers}`,
      'none with --lora-r, which keeps all layers as they are',
      'Leave one of them out.',
    )
  }
  if (merge && !isLora) {
    throw invalid(
      '--merge is given',
      'it with --lora-r only: without adapters, the model itself is saved',
      'Leave it out.',
    )
  }
  if (data.evalSplit !== undefined && data.validationSplit !== undefined) {
    throw invalid(
      `--eval-split is ${data.evalSplit}`,
      'it or --validation-split, which takes a part of the training data',
      'Leave one of them out.',
    )
  }
  const task = given.task ?? (await taskOf(data.train[0]!, data))
  if (given.dpo && task !== 'preference') {
    throw invalid(`the task is ${task}`, 'preference with --dpo-beta or dpo', 'Say --task preference, or leave it out.')
  }
  return {
    ...given,
    task,
    model,
    data: { ...data, train: data.train },
    ...(isLora && { lora: { ...file.lora, ...options.lora } }),
    ...(given.dpo && { dpo: { ...file.dpo, ...options.dpo } }),
    training: { ...file.training, ...options.training },
  }
}

/** What data is likely for where nobody says: a data set by its columns; of files, rows have labels, and JSON lines are chats. */
async function taskOf(file: string, part: DatasetChoice): Promise<FinetuneTask> {
  if (await isDataset(file, part)) {
    const { split, config } = part
    const [row = {}] = await streamDataset(file, { split, config }).take(1).toDataset()
    if ('messages' in row) return 'chat'
    if ('chosen' in row) return 'preference'
    return 'label' in row ? 'classification' : 'text'
  }
  if (/\.(csv|tsv)(\.(gz|zst))?$/i.test(file)) return 'classification'
  return /\.jsonl?(\.(gz|zst))?$/i.test(file) ? 'chat' : 'text'
}

function invalid(what: string, rule: string, mend: string): HeedError {
  return new HeedError('HEED_ARGUMENT_INVALID', `heed finetune: ${what}, expected ${rule}. ${mend}`)
}
