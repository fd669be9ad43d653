import { type Activation, activate, checkOptionNames, HeedError, linear, tf } from '@heed/tensor-backend'
import { Conv1D } from './conv1d.ts'
import { Dropout } from './dropout.ts'
import { initialValue, uniform, zeros } from './initializers.ts'
import { Linear } from './linear.ts'
import { Module, type Parameter } from './module.ts'

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
 * Small matrices beside some layers of a model, whose weights stay as they are. Hu et al. 2021 (arXiv:2106.09685). Its
 * parameters have PEFT's keys. The layers of `model` work adapted until `detach`. The model may be in few bits, as a GGUF
 * file or `dtype: 'q4_0'` gives it (QLoRA, Dettmers et al. 2023, arXiv:2305.14314).
 */
export class LoraAdapter<M extends Module = Module> extends Module {
  readonly config: Required<LoraConfig>
  readonly #layers = new Map<string, LoraLayer>()
  readonly #trainable: Parameter[]
  /** Of the modules that learn whole, by their own names. */
  readonly #whole = new Map<string, Parameter>()
  /** The `forward` of each layer where another adapter has put one. */
  readonly #before: Array<[layer: Linear | Conv1D, forward: PropertyDescriptor | undefined]> = []
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
    const whole = findWhole(model, this.config.modulesToSave)
    this.#trainable = model.parameters().filter(parameter => parameter.trainable)
    model.requiresGrad(false)
    for (const [name, parameter] of whole) {
      parameter.trainable = true
      this.#whole.set(name, parameter)
    }
    this.child('base_model.model', model)
    for (const [path, layer] of targets) {
      const scale = loraAlpha / (useRslora ? Math.sqrt(r) : r)
      const lora = this.child(`base_model.model.${path}`, new LoraLayer(layer, r, loraDropout, scale))
      this.#layers.set(path, lora)
      this.#before.push([layer, Object.getOwnPropertyDescriptor(layer, 'forward')])
      const plain: Linear['forward'] = layer.forward.bind(layer)
      layer.forward = (x: tf.Tensor, activation: Activation = 'none') =>
        this.#isMerged ? plain(x, activation) : tf.tidy(() => activate(tf.add(plain(x), lora.forward(x)), activation))
    }
  }

  /** The adapted layers by their paths in the model. */
  get targets(): Map<string, Linear | Conv1D> {
    return new Map(Array.from(this.#layers, ([path, { base }]) => [path, base]))
  }

  /** Paths of adapted layers that no forward pass has called: the model uses their weights directly. */
  get unusedTargets(): string[] {
    return Array.from(this.#layers).flatMap(([path, { isUsed }]) => (isUsed ? [] : [path]))
  }

  get isMerged(): boolean {
    return this.#isMerged
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

  /** Copies an adapter's tensors, by PEFT's keys, into the parameters. Throws HEED_STATE_DICT_MISMATCH; then nothing has changed. */
  load(tensors: ReadonlyMap<string, tf.Tensor>, source: string): void {
    const parameters = this.stateDict()
    for (const name of new Set([...parameters.keys(), ...tensors.keys()])) {
      const [own, given] = [parameters.get(name)?.shape.join(', '), tensors.get(name)?.shape.join(', ')]
      if (own === given) continue
      throw new HeedError(
        'HEED_STATE_DICT_MISMATCH',
        `${source}: ${name} is ${given === undefined ? 'missing' : `of shape [${given}]`}, ` +
          `expected ${own === undefined ? 'no such tensor' : `shape [${own}]`}. The adapter is of another model.`,
      )
    }
    for (const [name, parameter] of parameters) parameter.assign(tensors.get(name)!)
  }

  /** Whether all updates can become part of the weights, which must be float32 and of one layer alone. */
  get isMergeable(): boolean {
    return [...this.#layers.values()].every(({ base }) => !isInFewBits(base) && !this.#isShared(base))
  }

  /**
   * Adds the updates to the weights: the model is as fast as before, and `savePretrained` of the model saves it adapted.
   * Throws HEED_DTYPE_UNSUPPORTED when a weight is in few bits, whose steps are coarser than an update, and
   * HEED_CONFIG_INVALID when it is that of another layer too.
   */
  merge(): void {
    for (const [path, { base }] of this.#layers) {
      if (isInFewBits(base)) {
        throw new HeedError(
          'HEED_DTYPE_UNSUPPORTED',
          `${this.constructor.name}: the weight of ${path} is in few bits, expected float32 to merge into. ` +
            "Load the model with dtype: 'float32', and the saved adapter onto it.",
        )
      }
      if (this.#isShared(base)) {
        throw new HeedError(
          'HEED_CONFIG_INVALID',
          `${this.constructor.name}: the weight of ${path} is that of another layer too, expected its own to merge into. ` +
            'Keep the adapter beside it.',
        )
      }
    }
    if (!this.#isMerged) this.#shift(tf.add)
    this.#isMerged = true
  }

  /** Takes them away again, up to rounding. */
  unmerge(): void {
    if (this.#isMerged) this.#shift(tf.sub)
    this.#isMerged = false
  }

  #isShared(base: Linear | Conv1D): boolean {
    return Array.from(this.model.parameterKeys()).filter(([, parameter]) => parameter === base.weight).length > 1
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
    for (const [layer, forward] of this.#before.splice(0)) {
      if (forward) Object.defineProperty(layer, 'forward', forward)
      else Reflect.deleteProperty(layer, 'forward')
    }
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
}

const isInFewBits = (layer: Linear | Conv1D): boolean => layer instanceof Linear && layer.isQuantized

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
  checkOptionNames('LoraConfig', config, [...Object.keys(defaults), 'targetModules'], 'HEED_CONFIG_INVALID')
  const all = { ...defaults, ...config }
  const check = (name: 'r' | 'loraAlpha' | 'loraDropout', isRight: boolean, rule: string): void => {
    if (isRight) return
    throw new HeedError('HEED_CONFIG_INVALID', `LoraConfig: ${name} is ${JSON.stringify(all[name])}, expected ${rule}.`)
  }
  const { r, loraAlpha, loraDropout } = all
  check('r', Number.isSafeInteger(r) && r >= 1, 'an integer at least 1')
  check('loraAlpha', Number.isFinite(loraAlpha) && loraAlpha > 0, 'a finite number above 0')
  check('loraDropout', loraDropout >= 0 && loraDropout < 1, 'a finite number at least 0 and below 1')
  return all
}

function findTargets(model: Module, names: readonly string[] = []): Array<[path: string, layer: Linear | Conv1D]> {
  const modules = [...model.namedModules()]
  const isLayer = (module: Module): module is Linear | Conv1D => module instanceof Linear || module instanceof Conv1D
  const isTarget = (path: string, name: string): boolean => path === name || path.endsWith(`.${name}`)
  const refusal = (what: string): HeedError => {
    const layers = modules.flatMap(([path, module]) => (isLayer(module) ? [path.slice(path.lastIndexOf('.') + 1)] : []))
    const choices = [...new Set(layers)].join(', ')
    return new HeedError('HEED_CONFIG_INVALID', `LoraConfig: ${what}, expected names of linear layers: ${choices}.`)
  }
  if (names.length === 0) throw refusal('targetModules name no layer')
  for (const name of names) {
    const found = modules.filter(([path]) => isTarget(path, name))
    if (found.length === 0 || !found.every(([, module]) => isLayer(module)))
      throw refusal(`targetModules include "${name}"`)
  }
  return modules.filter(([path]) => names.some(name => isTarget(path, name))) as Array<[string, Linear | Conv1D]>
}

/** The parameters of the modules with one of these names, by their keys. */
function findWhole(model: Module, names: readonly string[]): Array<[name: string, parameter: Parameter]> {
  const parameters = [...model.namedParameters()]
  for (const name of names) {
    if (parameters.some(([key]) => isInside(key, name))) continue
    const choices = [...model.namedModules()].flatMap(([path]) =>
      /\.\d+(\.|$)/.test(path) || path === '' ? [] : [path],
    )
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      `LoraConfig: modulesToSave include "${name}", expected names of modules with float32 weights: ${choices.join(', ')}.`,
    )
  }
  return parameters.filter(([key]) => names.some(name => isInside(key, name)))
}

/** Whether a key belongs to a module of that name. */
const isInside = (key: string, name: string): boolean => `.${key}`.includes(`.${name}.`)

/** Whether a model has weights in a module of that name. */
export function hasWeightsIn(model: Module, name: string): boolean {
  return [...model.parameterKeys(), ...model.quantizedWeights()].some(([key]) => isInside(key, name))
}
