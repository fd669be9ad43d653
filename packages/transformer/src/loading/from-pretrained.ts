import {
  initializeParameters,
  LoraAdapter,
  matchStateDict,
  normal,
  quantizableLayers,
  skipInitialization,
  zeros,
} from '@heed/layers'
import {
  type CheckpointLocation,
  checkOptionNames,
  HeedError,
  type HubOptions,
  ifFound,
  openCheckpoint,
  shown,
  tf,
} from '@heed/tensor-backend'
import { generationConfigFromHf } from '../generation/config.ts'
import type { HfConfig } from '../hf-json.ts'
import type { PretrainedModel } from '../model.ts'
import { type AdapterCheckpoint, keysBroughtBy, loadAdapter, openAdapter, withBase } from './adapter.ts'
import { type Checkpoint, type CheckpointTensors, openInFormat } from './checkpoint-format.ts'
import { isRemote } from './hub.ts'
import { readJson, resolveLocation } from './location.ts'
import { readInFewBits, type WeightDtype, weightDtypes } from './weight-dtype.ts'

export type { CheckpointLocation }

export interface LoadOptions extends HubOptions {
  /**
   * What the matrices are kept as. Other than float32 they are not trained, and take a half to a seventh of the memory.
   * Default `float32` for an HF folder, `auto` for a GGUF file.
   */
  dtype?: WeightDtype
  /** Keys of config.json to overrule, as HF spells them. */
  config?: HfConfig
  /** Called after each tensor. */
  onProgress?: (progress: { key: string; loaded: number; total: number }) => void
  /** False lets keys be missing or left over. Default true; heads may differ when the folder is of another class. */
  strict?: boolean
  /** Seed of the parameters that the checkpoint has none for. */
  seed?: number
  /** Told of parameters that begin at random; `console.warn` by default. */
  onWarning?: (message: string) => void
}

const optionNames = Object.keys({
  dtype: true,
  config: true,
  onProgress: true,
  strict: true,
  seed: true,
  onWarning: true,
  revision: true,
  endpoint: true,
  token: true,
  cacheDir: true,
  onDownload: true,
} satisfies Record<keyof LoadOptions, true>)

/** The config.json of a folder. Throws HEED_FILE_NOT_FOUND, HEED_FILE_INVALID, HEED_IO. */
export async function readConfig(
  location: CheckpointLocation,
  { config: overruled = {} }: LoadOptions = {},
): Promise<{ config: HfConfig; source: string }> {
  const { json, source } = await readJson(location, 'config.json')
  return { config: { ...json, ...overruled }, source }
}

/**
 * Opens an HF folder or hub id, an adapter's with its base, or a checkpoint of a registered format. Throws
 * HEED_ARGUMENT_INVALID, HEED_FILE_NOT_FOUND, HEED_FILE_INVALID, HEED_CONFIG_INVALID, HEED_IO.
 */
export async function openPretrained(location: CheckpointLocation, options: LoadOptions = {}): Promise<Checkpoint> {
  checkOptionNames('fromPretrained', options, optionNames)
  const { dtype } = options
  if (dtype !== undefined && !weightDtypes.includes(dtype)) {
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `fromPretrained: dtype is ${shown(dtype)}, expected one of ${weightDtypes.join(', ')}. Leave it out for float32.`,
    )
  }
  return openBelow(location, options, [])
}

/** `above` are the adapters for which this is opened. */
async function openBelow(
  location: CheckpointLocation,
  options: LoadOptions,
  above: readonly string[],
): Promise<Checkpoint> {
  const { config: overruled = {} } = options
  const found = await openInFormat(location, overruled)
  if (found) return { ...found, config: { ...found.config, ...overruled } }
  const folder = await resolveLocation(location, options)
  const own = await ifFound(() => openFolder(folder, options))
  // many servers answer with a page for a file that is not there, so that they are not asked for what few models have
  const adapter = own && isRemote(String(folder)) ? undefined : await ifFound(() => openAdapter(folder))
  if (!adapter) return own ?? openFolder(folder, options)
  // as in transformers, an adapter that lies in a model's folder is that model's
  if (own && (await hasWeights(folder))) return { ...own, adapters: [adapter] }
  const base = await withBase(adapter, { folder, options, above }, openBelow)
  return { ...base, adapters: [...(base.adapters ?? []), adapter] }
}

async function openFolder(folder: CheckpointLocation, options: LoadOptions): Promise<Checkpoint> {
  const { config, source } = await readConfig(folder, options)
  return { config, source, generation: await readGenerationConfig(folder), openTensors: () => openCheckpoint(folder) }
}

async function hasWeights(folder: CheckpointLocation): Promise<boolean> {
  const file = await ifFound(() => openCheckpoint(folder))
  await file?.close()
  return file !== undefined
}

/**
 * A model from an HF folder or hub id, or of an adapter's with its base, in evaluation mode: `load` makes it from config.json, then tensors stream in one at a time.
 * Throws HEED_FILE_NOT_FOUND, HEED_FILE_INVALID, HEED_CONFIG_INVALID, HEED_STATE_DICT_MISMATCH, HEED_IO.
 */
export async function loadPretrained<M extends PretrainedModel>(
  location: CheckpointLocation,
  load: (config: HfConfig, source: string) => M,
  options: LoadOptions = {},
): Promise<M> {
  return loadCheckpoint(await openPretrained(location, options), load, options)
}

/** `loadPretrained` of what was opened before. */
export async function loadCheckpoint<M extends PretrainedModel>(
  { config, source, generation, openTensors, adapters = [] }: Checkpoint,
  load: (config: HfConfig, source: string) => M,
  options: LoadOptions = {},
): Promise<M> {
  const brought = await keysBroughtBy(adapters)
  const file = await openTensors()
  try {
    const model = skipInitialization(() => loadOrFree(() => load(config, source)))
    try {
      const isOfOtherClass = !(Array.isArray(config.architectures) && config.architectures[0] === model.architecture)
      await fillParameters(model, file, { isOfOtherClass, brought }, options)
      for (const adapter of adapters) await addAdapter(model, adapter)
      if (generation)
        model.generationConfig = generationConfigFromHf(
          generation,
          source.replace(/config\.json$/, 'generation_config.json'),
        )
      return model
    } catch (error) {
      model.dispose()
      throw error
    }
  } finally {
    await file.close()
  }
}

/** A model that throws while it is made leaves nothing: the parameters that it had already are freed. */
function loadOrFree<M>(load: () => M): M {
  const parametersOf = (): tf.Variable[] => Object.values(tf.engine().state.registeredVariables)
  const before = new Set(parametersOf())
  try {
    return load()
  } catch (error) {
    tf.dispose(parametersOf().filter(parameter => !before.has(parameter)))
    throw error
  }
}

/** Makes an adapter a part of the weights, or where they cannot take it, keeps it beside them. */
async function addAdapter(model: PretrainedModel, files: AdapterCheckpoint): Promise<void> {
  const adapter = await loadAdapter(model, files, config => new LoraAdapter(model, config))
  if (adapter.isMergeable) {
    adapter.merge()
    adapter.detach()
  } else model.adapters.push(adapter)
}

async function readGenerationConfig(location: CheckpointLocation): Promise<HfConfig | undefined> {
  return (await ifFound(() => readJson(location, 'generation_config.json')))?.json
}

/** Buffers that older versions of transformers saved, and that nothing reads. */
const obsoleteKeys = /(?:^|\.)(?:rotary_emb\.inv_freq|position_ids|masked_bias|attn\.bias)$/

async function fillParameters(
  model: PretrainedModel,
  file: CheckpointTensors,
  { isOfOtherClass, brought }: { isOfOtherClass: boolean; brought: ReadonlySet<string> },
  { strict = true, seed = 0, dtype, onProgress, onWarning = console.warn }: LoadOptions,
): Promise<void> {
  const names = namesInFile(model, [...file.tensors.keys()])
  const shapes = new Map(Array.from(names, ([key, name]) => [key, file.tensors.get(name)!]))
  const { sources, missing, unexpected } = matchStateDict(model, shapes, { strict: false, source: file.name })
  for (const key of unexpected) if (model.isHeadKey(key)) shapes.delete(key)
  const mayLack = (key: string): boolean => (isOfOtherClass ? model.isHeadKey(key) : model.isOptionalKey(key))
  const isComplete = missing.every(key => brought.has(key) || mayLack(key))
  if (strict && !(isComplete && unexpected.every(key => model.isHeadKey(key)))) {
    matchStateDict(model, shapes, { source: file.name })
  }
  if (missing.length > 0) {
    const isNew = new Set(missing)
    initializeParameters(model, seed, (key, { rank }) =>
      isNew.has(key) ? (rank > 1 ? normal(0.02) : zeros) : undefined,
    )
    const random = missing.filter(key => !brought.has(key))
    if (random.length > 0)
      onWarning(`${file.name}: ${random.join(', ')} begin at random, since the checkpoint has none. Train them.`)
  }
  if (strict) await checkTied(model, file, names, sources)
  const layersOf = quantizableLayers(model)
  let loaded = 0
  for (const [key, parameter] of sources) {
    const name = names.get(key)!
    const layers = layersOf.get(parameter) ?? []
    const weight = await readInFewBits(file, { name, key, layers }, dtype ?? (file.readQuantized ? 'auto' : 'float32'))
    if (weight) {
      for (const layer of layers) layer.quantize(weight)
    } else {
      const tensor = await file.read(name)
      const value = tensor.dtype === parameter.dtype ? tensor : tensor.cast(parameter.dtype)
      parameter.assign(value)
      tf.dispose([tensor, value])
    }
    loaded += 1
    onProgress?.({ key, loaded, total: sources.size })
  }
}

/** Tensors of a file that are one parameter of the model must be equal: HF ties them only then. Throws HEED_STATE_DICT_MISMATCH. */
async function checkTied(
  model: PretrainedModel,
  file: CheckpointTensors,
  names: ReadonlyMap<string, string>,
  sources: ReadonlyMap<string, tf.Variable>,
): Promise<void> {
  const taken = new Map(Array.from(sources, ([key, parameter]) => [parameter, names.get(key)!]))
  for (const [key, parameter] of model.parameterKeys()) {
    const [first, other] = [taken.get(parameter), names.get(key)]
    if (first === undefined || other === undefined || first === other) continue
    if (await isSameTensor(file, first, other)) continue
    throw new HeedError(
      'HEED_STATE_DICT_MISMATCH',
      `${file.name}: ${first} and ${other} differ, expected the same numbers, since they are one parameter of ${model.constructor.name}. ` +
        `Set tie_word_embeddings to false in config.json where it ties what is not tied, or load with strict: false to take ${first}.`,
    )
  }
}

async function isSameTensor(file: CheckpointTensors, name: string, other: string): Promise<boolean> {
  const [a, b] = [file.tensors.get(name)!, file.tensors.get(other)!]
  if (a.shape.join() !== b.shape.join()) return false
  const tensors: tf.Tensor[] = []
  try {
    for (const key of [name, other]) tensors.push(await file.read(key))
    const areEqual = tf.tidy(() => tf.all(tf.equal(tensors[0]!, tensors[1]!)))
    tensors.push(areEqual)
    return (await areEqual.data())[0] === 1
  } finally {
    tf.dispose(tensors)
  }
}

/** The name in the file of each key of the model: a bare model's keys lack the prefix that one with a head gives them. */
function namesInFile(model: PretrainedModel, names: string[]): Map<string, string> {
  const keys = new Set(Array.from(model.parameterKeys(), ([key]) => key))
  const prefix = `${model.baseModelPrefix}.`
  const isPrefixed = [...keys].some(key => key.startsWith(prefix))
  const isFilePrefixed = names.some(name => name.startsWith(prefix))
  const found = new Map<string, string>()
  for (const name of names) {
    if (obsoleteKeys.test(name) || model.isIgnoredKey(name)) continue
    const key = name.replace(/LayerNorm\.gamma$/, 'LayerNorm.weight').replace(/LayerNorm\.beta$/, 'LayerNorm.bias')
    if (isPrefixed === isFilePrefixed || keys.has(key)) found.set(key, name)
    else if (isPrefixed) found.set(prefix + key, name)
    else if (key.startsWith(prefix)) found.set(key.slice(prefix.length), name)
  }
  return found
}
