import { hasWeightsIn, type LoraAdapter, type LoraConfig, type Module } from '@heed/layers'
import {
  type CheckpointLocation,
  HeedError,
  type HubOptions,
  ifFound,
  isHeedError,
  openSafetensors,
  openTorchCheckpoint,
  type TensorFile,
  tf,
} from '@heed/tensor-backend'
import { locateBeside } from '#hub'
import type { HfConfig } from '../hf-json.ts'
import { fileIn, readJson, resolveLocation } from './location.ts'

/** An adapter in PEFT's layout, of a model that lies elsewhere. */
export interface AdapterCheckpoint {
  readonly config: LoraConfig
  /** Its adapter_config.json, for messages. */
  readonly source: string
  /** Of the base, where it is on the hub. */
  readonly baseRevision: string | undefined
  openTensors(): Promise<TensorFile>
}

/**
 * The adapter of a folder or hub id that PEFT or Heed wrote. Throws HEED_FILE_NOT_FOUND, HEED_FILE_INVALID, HEED_IO, and
 * HEED_CONFIG_INVALID when it is no LoRA, or has what is not served.
 */
export async function openAdapter(location: CheckpointLocation, options: HubOptions = {}): Promise<AdapterCheckpoint> {
  const folder = await resolveLocation(location, options)
  const { json, source } = await readJson(folder, 'adapter_config.json')
  return {
    config: loraConfigFrom(source, json),
    source,
    baseRevision: typeof json.revision === 'string' ? json.revision : undefined,
    openTensors: () => openAdapterTensors(folder, source),
  }
}

async function openAdapterTensors(folder: CheckpointLocation, source: string): Promise<TensorFile> {
  const [safetensors, torch] = ['adapter_model.safetensors', 'adapter_model.bin'].map(name => fileIn(folder, name).file)
  const opened =
    (safetensors && (await ifFound(() => openSafetensors(safetensors)))) ??
    (torch && (await ifFound(() => openTorchCheckpoint(torch))))
  if (opened) return opened
  throw new HeedError(
    'HEED_FILE_NOT_FOUND',
    `${source}: adapter_model.safetensors is missing beside it, expected it or adapter_model.bin. Copy the whole folder.`,
  )
}

/** What is before the model's own keys in an adapter's. */
const PREFIX = 'base_model.model.'

/** The weights that PEFT saves beside the matrices of an adapted head: those of the base, again. */
const isOfBase = (name: string): boolean => name.includes('.base_layer.')

/** Keys of the model that an adapter brings weights for: those of modules that learned whole. */
function keysBrought(file: TensorFile): string[] {
  const names = [...file.tensors.keys()].filter(name => !isOfBase(name) && !/\.lora_[AB]\.weight$/.test(name))
  return names.map(name => (name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name))
}

/** Of all adapters. Throws as `openTensors`. */
export async function keysBroughtBy(adapters: readonly AdapterCheckpoint[]): Promise<Set<string>> {
  const keys = new Set<string>()
  for (const { openTensors } of adapters) {
    const file = await openTensors()
    for (const key of keysBrought(file)) keys.add(key)
    await file.close()
  }
  return keys
}

/**
 * Fills the adapter that `attach` makes of the config and the model. Throws HEED_CONFIG_INVALID, HEED_STATE_DICT_MISMATCH,
 * HEED_FILE_NOT_FOUND, HEED_FILE_INVALID, HEED_IO; then the model is as it was.
 */
export async function loadAdapter<A extends LoraAdapter>(
  model: Module,
  { config, source, openTensors }: AdapterCheckpoint,
  attach: (config: LoraConfig) => A,
): Promise<A> {
  const file = await openTensors()
  const tensors = new Map<string, tf.Tensor>()
  try {
    const adapter = attach({ ...config, modulesToSave: wholeModules(model, config, keysBrought(file)) })
    try {
      for (const name of file.tensors.keys()) if (!isOfBase(name)) tensors.set(name, await file.read(name))
      adapter.load(tensors, source.replace(/\/adapter_config\.json$/, ''))
      return adapter
    } catch (error) {
      adapter.detach()
      throw error
    }
  } finally {
    tf.dispose([...tensors.values()])
    await file.close()
  }
}

/** Of the modules to save those that the model has, as PEFT lists any heads, and those that came without being listed. */
function wholeModules(model: Module, { modulesToSave = [] }: LoraConfig, keys: readonly string[]): string[] {
  const listed = modulesToSave.filter(name => hasWeightsIn(model, name))
  const isListed = (key: string): boolean => listed.some(name => `.${key}`.includes(`.${name}.`))
  const paths = keys.filter(key => !isListed(key)).map(key => key.slice(0, key.lastIndexOf('.')))
  return [...listed, ...new Set(paths.filter(path => hasWeightsIn(model, path)))]
}

/** Where an adapter is, how the hub is reached, and the adapters that this one is the base of. */
export interface AdapterPlace<Options extends HubOptions> {
  folder: CheckpointLocation
  options: Options
  above: readonly string[]
}

/**
 * Hands the place of the adapter's base to `open`: a path as seen from the adapter's folder or the working directory, or a hub
 * id. Throws HEED_CONFIG_INVALID when the adapter names none or itself, and as `open`, saying who named it.
 */
export async function withBase<Options extends HubOptions, T>(
  { config, source, baseRevision }: AdapterCheckpoint,
  { folder, options, above }: AdapterPlace<Options>,
  open: (base: string, options: Options, above: readonly string[]) => Promise<T>,
): Promise<T> {
  const { baseModelNameOrPath: name = null } = config
  const named = `${source}: base_model_name_or_path is ${JSON.stringify(name)}`
  if (!name || above.includes(source)) {
    const found = name ? `${named}, which leads back to this adapter` : named
    throw new HeedError('HEED_CONFIG_INVALID', `${found}, expected the model that the adapter is for. Name it there.`)
  }
  const { revision: _ofAdapter, ...others } = options
  const ofBase = { ...others, ...(baseRevision !== undefined && { revision: baseRevision }) } as Options
  try {
    const base = folder instanceof Map ? name : await locateBeside(String(folder), name)
    return await open(base, ofBase, [...above, source])
  } catch (cause) {
    if (!isHeedError(cause) || (cause.code !== 'HEED_FILE_NOT_FOUND' && cause.code !== 'HEED_IO')) throw cause
    throw new HeedError(cause.code, `${named}, expected a model there or on the hub. ${cause.message}`, { cause })
  }
}

/** Features that change the numbers and are not served: an adapter with one of them is refused. */
const unserved = {
  use_dora: false,
  bias: 'none',
  lora_bias: false,
  rank_pattern: {},
  alpha_pattern: {},
  layers_to_transform: null,
  exclude_modules: null,
  target_parameters: null,
  trainable_token_indices: null,
}

function loraConfigFrom(source: string, json: HfConfig): LoraConfig {
  for (const [key, expected] of Object.entries({ peft_type: 'LORA', ...unserved })) {
    const value = json[key] ?? expected
    if (JSON.stringify(value) === JSON.stringify(expected)) continue
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      `${source}: ${key} is ${JSON.stringify(value)}, expected ${JSON.stringify(expected)}.`,
    )
  }
  const { target_modules: targetModules } = json
  if (!Array.isArray(targetModules)) {
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      `${source}: target_modules is ${JSON.stringify(targetModules)}, expected a list of names.`,
    )
  }
  const known = {
    r: json.r,
    loraAlpha: json.lora_alpha,
    loraDropout: json.lora_dropout,
    useRslora: json.use_rslora,
    taskType: json.task_type,
    baseModelNameOrPath: json.base_model_name_or_path,
    modulesToSave: json.modules_to_save,
  }
  const given = Object.entries(known).filter(([, value]) => value != null)
  return { targetModules, ...(Object.fromEntries(given) as Omit<LoraConfig, 'targetModules'>) }
}
