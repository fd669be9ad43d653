import { activate, Conv1D, Dropout, initialValue, Linear, Module, type Parameter, uniform, zeros } from '@heed/layers'
import {
  type Activation,
  HeedError,
  linear,
  parseStrictJson,
  readSafetensors,
  readText,
  tf,
  writeFileAtomic,
  writeSafetensors,
} from '@heed/tensor-backend'
import { checkNumber, show } from './checks.ts'
import type { ModelInputs, TrainableModel, TrainingOutput } from './model.ts'
import { camelCase, renameKeys, snakeCase } from './trainer-state.ts'

/** PEFT's `LoraConfig` in camelCase. */
export interface LoraConfig {
  /** Rank of the update, 8 by default. */
  r?: number
  /** The update is scaled by loraAlpha / r; 8 by default. */
  loraAlpha?: number
  loraDropout?: number
  /** Last parts of the paths of the layers to adapt, such as `q_proj`. */
  targetModules: readonly string[]
  /** Paths, or last parts of them, of modules that learn whole and are saved with the adapter, such as a new head: `score`. */
  modulesToSave?: readonly string[]
  /** Scales by loraAlpha / sqrt(r) instead (arXiv:2312.03732). */
  useRslora?: boolean
  /** PEFT's name, `CAUSAL_LM` by default; empty for a model that PEFT has no task for, such as one that fills masks. */
  taskType?: string
  baseModelNameOrPath?: string
}

/** The low-rank update of one layer: scale · dropout(x) Aᵀ Bᵀ. A begins as PyTorch's linear layers do, B with zeros. */
class LoraLayer extends Module {
  readonly a: Parameter // [r, inFeatures]
  readonly b: Parameter // [outFeatures, r]
  readonly dropout: Dropout
  /** Whether a forward pass came by. */
  isUsed = false

  constructor(
    readonly base: Linear | Conv1D,
    rank: number,
    rate: number,
    readonly scale: number,
  ) {
    super()
    this.a = this.parameter(
      'lora_A.weight',
      initialValue([rank, base.inFeatures], uniform(1 / Math.sqrt(base.inFeatures))),
    )
    this.b = this.parameter('lora_B.weight', initialValue([base.outFeatures, rank], zeros))
    this.dropout = this.child('lora_dropout', new Dropout(rate))
  }

  /** x: [..., inFeatures] -> [..., outFeatures]. */
  forward(x: tf.Tensor): tf.Tensor {
    this.isUsed = true
    return tf.tidy(() => {
      const low = linear(this.dropout.forward(x), this.a) // [..., r]
      return tf.mul(linear(low, this.b), this.scale)
    })
  }

  /** What the update adds to the weight, in the layout of that weight. */
  delta(): tf.Tensor {
    return tf.tidy(() => {
      const update = tf.mul(tf.matMul(this.b as tf.Tensor2D, this.a as tf.Tensor2D), this.scale) // [outFeatures, inFeatures]
      return this.base instanceof Conv1D ? tf.transpose(update) : update
    })
  }
}

/**
 * A model whose weights stay as they are while small matrices beside some layers learn. Hu et al. 2021 (arXiv:2106.09685).
 * Train it as any model; it saves and loads adapters in PEFT's layout. The layers of `model` work adapted until `detach`.
 * The model may be in few bits, as a GGUF file or `dtype: 'q4_0'` gives it (QLoRA, Dettmers et al. 2023, arXiv:2305.14314).
 */
export class LoraModel<M extends Module & TrainableModel = Module & TrainableModel>
  extends Module
  implements TrainableModel
{
  readonly config: Required<LoraConfig>
  readonly #layers = new Map<string, LoraLayer>()
  readonly #trainable: Parameter[]
  /** Of the modules that learn whole, by their own names. */
  readonly #whole = new Map<string, Parameter>()
  #isMerged = false

  /** Throws HEED_CONFIG_INVALID when a target is not a linear layer of the model, or it has no module to save of that name. */
  constructor(
    readonly model: M,
    config: LoraConfig,
  ) {
    super()
    this.config = completeConfig(config)
    const { r, loraAlpha, loraDropout, useRslora } = this.config
    const targets = findTargets(model, this.config.targetModules)
    this.#trainable = model.parameters().filter(parameter => parameter.trainable)
    model.requiresGrad(false)
    for (const [name, parameter] of findWhole(model, this.config.modulesToSave)) {
      parameter.trainable = true
      this.#whole.set(name, parameter)
    }
    this.child('base_model.model', model)
    for (const [path, layer] of targets) {
      const scale = loraAlpha / (useRslora ? Math.sqrt(r) : r)
      const lora = this.child(`base_model.model.${path}`, new LoraLayer(layer, r, loraDropout, scale))
      this.#layers.set(path, lora)
      const plain: Linear['forward'] = layer.forward.bind(layer)
      layer.forward = (x: tf.Tensor, activation: Activation = 'none') =>
        this.#isMerged ? plain(x, activation) : tf.tidy(() => activate(tf.add(plain(x), lora.forward(x)), activation))
    }
  }

  /** The adapter's matrices and the modules that learn whole, under PEFT's keys. */
  override *namedParameters(): Generator<[key: string, parameter: Parameter]> {
    for (const [path, { a, b }] of this.#layers) {
      yield [`base_model.model.${path}.lora_A.weight`, a]
      yield [`base_model.model.${path}.lora_B.weight`, b]
    }
    for (const [name, parameter] of this.#whole) yield [`base_model.model.${name}`, parameter]
  }

  /** None: those of the model stay its own. */
  override *quantizedWeights(): Generator<never> {}

  /** As the model's. Throws HEED_CONFIG_INVALID when it passes a target by, which then could not learn. */
  forward(inputs: ModelInputs): TrainingOutput {
    const output = this.model.forward(inputs)
    if (this.#isMerged) return output
    for (const [path, layer] of this.#layers) {
      if (layer.isUsed) continue
      throw new HeedError(
        'HEED_CONFIG_INVALID',
        `LoraConfig: target_modules include ${path}, expected layers that the model calls: it uses this weight directly. Leave it out.`,
      )
    }
    return output
  }

  /**
   * Adds the updates to the weights: the model is as fast as before, and `savePretrained` of the model saves it adapted.
   * Throws HEED_DTYPE_UNSUPPORTED when a weight is in few bits, whose steps are coarser than an update.
   */
  merge(): void {
    for (const [path, { base }] of this.#layers) {
      if (!(base instanceof Linear && base.isQuantized)) continue
      throw new HeedError(
        'HEED_DTYPE_UNSUPPORTED',
        `LoraModel: the weight of ${path} is in few bits, expected float32 to merge into. ` +
          "Load the model with dtype: 'float32', and the saved adapter onto it.",
      )
    }
    if (!this.#isMerged) this.#shift(tf.add)
    this.#isMerged = true
  }

  /** Takes them away again, up to rounding. */
  unmerge(): void {
    if (this.#isMerged) this.#shift(tf.sub)
    this.#isMerged = false
  }

  #shift(combine: (weight: tf.Tensor, delta: tf.Tensor) => tf.Tensor): void {
    tf.tidy(() => {
      for (const layer of this.#layers.values()) layer.base.weight.assign(combine(layer.base.weight, layer.delta()))
    })
  }

  /**
   * Gives the model its own layers back, trainable as they were, and frees the adapter; after `merge` the weights stay adapted,
   * and modules that learned whole stay as they are.
   */
  detach(): M {
    for (const { base } of this.#layers.values()) Reflect.deleteProperty(base, 'forward')
    for (const parameter of this.model.parameters()) parameter.trainable = false
    for (const parameter of this.#trainable) parameter.trainable = true
    this.dispose()
    this.#layers.clear()
    this.#whole.clear()
    return this.model
  }

  /** Frees the adapter's matrices; what is of the model stays. */
  override dispose(): void {
    for (const layer of this.#layers.values()) layer.dispose()
  }

  /** Writes `adapter_model.safetensors` and `adapter_config.json` for PEFT. Throws HEED_IO. */
  async savePretrained(folder: string): Promise<void> {
    const { targetModules, modulesToSave, baseModelNameOrPath, taskType, ...config } = this.config
    await writeSafetensors(`${folder}/adapter_model.safetensors`, this.stateDict())
    const json = {
      ...renameKeys<unknown>(config, snakeCase),
      base_model_name_or_path: baseModelNameOrPath,
      bias: 'none',
      fan_in_fan_out: [...this.#layers.values()].some(({ base }) => base instanceof Conv1D),
      inference_mode: true,
      init_lora_weights: true,
      modules_to_save: modulesToSave.length > 0 ? modulesToSave : null,
      peft_type: 'LORA',
      target_modules: targetModules,
      task_type: taskType || null,
    }
    await writeFileAtomic(`${folder}/adapter_config.json`, `${JSON.stringify(json, null, 2)}\n`)
  }

  /** A model with the adapter of a folder that PEFT or Heed wrote. Throws HEED_FILE_NOT_FOUND, HEED_CONFIG_INVALID, HEED_STATE_DICT_MISMATCH. */
  static async fromPretrained<M extends Module & TrainableModel>(model: M, folder: string): Promise<LoraModel<M>> {
    const file = `${folder}/adapter_config.json`
    const config = readConfig(file, parseStrictJson(await readText(file), file))
    const modulesToSave = config.modulesToSave?.filter(name => isAmong(model, name)) ?? [] // PEFT lists heads that a model may lack
    const adapted = new LoraModel(model, { ...config, modulesToSave })
    try {
      const tensors = await readSafetensors(`${folder}/adapter_model.safetensors`)
      adapted.#load(folder, tensors)
      tf.dispose(tensors)
      return adapted
    } catch (error) {
      adapted.detach()
      throw error
    }
  }

  #load(folder: string, tensors: Record<string, tf.Tensor>): void {
    const parameters = this.stateDict()
    for (const name of new Set([...parameters.keys(), ...Object.keys(tensors)])) {
      const [own, given] = [parameters.get(name)?.shape.join(', '), tensors[name]?.shape.join(', ')]
      if (own === given) continue
      tf.dispose(tensors)
      throw new HeedError(
        'HEED_STATE_DICT_MISMATCH',
        `${folder}: ${name} is ${given === undefined ? 'missing' : `of shape [${given}]`}, ` +
          `expected ${own === undefined ? 'no such tensor' : `shape [${own}]`}. The adapter is of another model.`,
      )
    }
    for (const [name, parameter] of parameters) parameter.assign(tensors[name]!)
  }
}

function completeConfig(config: LoraConfig): Required<LoraConfig> {
  const defaults = {
    r: 8,
    loraAlpha: 8,
    loraDropout: 0,
    modulesToSave: [],
    useRslora: false,
    taskType: 'CAUSAL_LM',
    baseModelNameOrPath: '',
  }
  const all = { ...defaults, ...config }
  checkNumber('LoraConfig', 'r', all.r, { min: 1, isInteger: true }, 'HEED_CONFIG_INVALID')
  checkNumber('LoraConfig', 'loraAlpha', all.loraAlpha, { above: 0 }, 'HEED_CONFIG_INVALID')
  checkNumber('LoraConfig', 'loraDropout', all.loraDropout, { min: 0, below: 1 }, 'HEED_CONFIG_INVALID')
  return all
}

function findTargets(model: Module, names: readonly string[]): Array<[path: string, layer: Linear | Conv1D]> {
  const modules = [...model.namedModules()]
  const isTarget = (path: string, name: string): boolean => path === name || path.endsWith(`.${name}`)
  for (const name of names) {
    const found = modules.filter(([path]) => isTarget(path, name))
    if (found.length > 0 && found.every(([, layer]) => layer instanceof Linear || layer instanceof Conv1D)) continue
    const linear = modules.flatMap(([path, layer]) =>
      layer instanceof Linear || layer instanceof Conv1D ? [path] : [],
    )
    const choices = [...new Set(linear.map(path => path.slice(path.lastIndexOf('.') + 1)))]
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      `LoraConfig: targetModules include "${name}", expected names of linear layers: ${choices.join(', ')}.`,
    )
  }
  if (names.length === 0)
    throw new HeedError('HEED_CONFIG_INVALID', 'LoraConfig: targetModules is [], expected at least one name.')
  return modules.filter(([path]) => names.some(name => isTarget(path, name))) as Array<[string, Linear | Conv1D]>
}

/** The parameters of the modules with one of these names, by their keys. */
function findWhole(model: Module, names: readonly string[]): Array<[name: string, parameter: Parameter]> {
  for (const name of names) {
    if (isAmong(model, name)) continue
    const choices = [...model.namedModules()].flatMap(([path]) =>
      /\.\d+(\.|$)/.test(path) || path === '' ? [] : [path],
    )
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      `LoraConfig: modulesToSave include "${name}", expected names of modules with float32 weights: ${choices.join(', ')}.`,
    )
  }
  return [...model.namedParameters()].filter(([key]) => names.some(name => isInside(key, name)))
}

/** Whether a key belongs to a module of that name. */
const isInside = (key: string, name: string): boolean => `.${key}`.includes(`.${name}.`)

const isAmong = (model: Module, name: string): boolean =>
  [...model.namedParameters()].some(([key]) => isInside(key, name))

/** Features that change the numbers and are not served: an adapter with one of them is refused. */
const unserved = { use_dora: false, bias: 'none', rank_pattern: {}, alpha_pattern: {} }

function readConfig(file: string, json: unknown): LoraConfig {
  const config = (json ?? {}) as Record<string, unknown>
  for (const [key, expected] of Object.entries({ peft_type: 'LORA', ...unserved })) {
    const value = config[key] ?? expected
    if (JSON.stringify(value) === JSON.stringify(expected)) continue
    throw new HeedError('HEED_CONFIG_INVALID', `${file}: ${key} is ${show(value)}, expected ${show(expected)}.`)
  }
  if (!Array.isArray(config.target_modules)) {
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      `${file}: target_modules is ${show(config.target_modules)}, expected a list of names.`,
    )
  }
  const known = [
    'r',
    'lora_alpha',
    'lora_dropout',
    'use_rslora',
    'task_type',
    'base_model_name_or_path',
    'target_modules',
    'modules_to_save',
  ]
  const picked = known.flatMap(key => (config[key] == null ? [] : [[camelCase(key), config[key]] as const]))
  return Object.fromEntries(picked) as unknown as LoraConfig
}
