import {
  initializeParameters,
  matchStateDict,
  normal,
  quantizableLayers,
  skipInitialization,
  zeros,
} from '@heed/layers'
import {
  type CheckpointLocation,
  HeedError,
  type HubOptions,
  ifFound,
  openCheckpoint,
  parseStrictJson,
  readText,
  tf,
} from '@heed/tensor-backend'
import { resolveModel } from '#hub'
import { generationConfigFromHf } from '../generation/config.ts'
import { type HfConfig, withWholeFloats } from '../hf-json.ts'
import type { PretrainedModel } from '../model.ts'
import { type Checkpoint, type CheckpointTensors, openInFormat } from './checkpoint-format.ts'
import { readInFewBits, type WeightDtype } from './weight-dtype.ts'

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

async function readJson(location: CheckpointLocation, name: string): Promise<{ json: HfConfig; source: string }> {
  const source = location instanceof Map ? name : `${String(location).replace(/\/$/, '')}/${name}`
  const file = location instanceof Map ? location.get(name) : source
  if (file === undefined) {
    throw new HeedError('HEED_FILE_NOT_FOUND', `${name}: it is not among the files given. Add it.`)
  }
  const text = await readText(file)
  const json = parseStrictJson(text, source)
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new HeedError('HEED_FILE_INVALID', `${source}: content is ${JSON.stringify(json)}, expected an object.`)
  }
  return { json: withWholeFloats(json as Record<string, unknown>, text), source }
}

/** A hub id becomes the folder of its files; all else stays. Throws HEED_FILE_NOT_FOUND, HEED_FILE_INVALID, HEED_IO. */
async function resolveLocation(location: CheckpointLocation, options: HubOptions): Promise<CheckpointLocation> {
  return typeof location === 'string' ? resolveModel(location, options) : location
}

/** The config.json of a folder. Throws HEED_FILE_NOT_FOUND, HEED_FILE_INVALID, HEED_IO. */
export async function readConfig(
  location: CheckpointLocation,
  { config: overruled = {} }: LoadOptions = {},
): Promise<{ config: HfConfig; source: string }> {
  const { json, source } = await readJson(location, 'config.json')
  return { config: { ...json, ...overruled }, source }
}

/** Opens an HF folder or hub id, or a checkpoint of a registered format. Throws HEED_FILE_NOT_FOUND, HEED_FILE_INVALID, HEED_IO. */
export async function openPretrained(location: CheckpointLocation, options: LoadOptions = {}): Promise<Checkpoint> {
  const { config: overruled = {} } = options
  const found = await openInFormat(location, overruled)
  if (found) return { ...found, config: { ...found.config, ...overruled } }
  const folder = await resolveLocation(location, options)
  const { config, source } = await readConfig(folder, options)
  return { config, source, generation: await readGenerationConfig(folder), openTensors: () => openCheckpoint(folder) }
}

/**
 * A model from an HF folder or hub id, in evaluation mode: `load` makes it from config.json, then tensors stream in one at a time.
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
  { config, source, generation, openTensors }: Checkpoint,
  load: (config: HfConfig, source: string) => M,
  options: LoadOptions = {},
): Promise<M> {
  const file = await openTensors()
  try {
    const model = skipInitialization(() => load(config, source))
    try {
      const isOfOtherClass = !(Array.isArray(config.architectures) && config.architectures[0] === model.architecture)
      await fillParameters(model, file, isOfOtherClass, options)
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

async function readGenerationConfig(location: CheckpointLocation): Promise<HfConfig | undefined> {
  return (await ifFound(() => readJson(location, 'generation_config.json')))?.json
}

/** Buffers that older versions of transformers saved, and that nothing reads. */
const obsoleteKeys = /(?:^|\.)(?:rotary_emb\.inv_freq|position_ids|masked_bias|attn\.bias)$/

async function fillParameters(
  model: PretrainedModel,
  file: CheckpointTensors,
  isOfOtherClass: boolean,
  { strict = true, seed = 0, dtype, onProgress, onWarning = console.warn }: LoadOptions,
): Promise<void> {
  const names = namesInFile(model, [...file.tensors.keys()])
  const shapes = new Map(Array.from(names, ([key, name]) => [key, file.tensors.get(name)!]))
  const { sources, missing, unexpected } = matchStateDict(model, shapes, { strict: false, source: file.name })
  for (const key of unexpected) if (model.isHeadKey(key)) shapes.delete(key)
  const isComplete = missing.every(key => isOfOtherClass && model.isHeadKey(key))
  if (strict && !(isComplete && unexpected.every(key => model.isHeadKey(key)))) {
    matchStateDict(model, shapes, { source: file.name })
  }
  if (missing.length > 0) {
    const isNew = new Set(missing)
    initializeParameters(model, seed, (key, { rank }) =>
      isNew.has(key) ? (rank > 1 ? normal(0.02) : zeros) : undefined,
    )
    onWarning(`${file.name}: ${missing.join(', ')} begin at random, since the checkpoint has none. Train them.`)
  }
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
