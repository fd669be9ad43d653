import { HeedError, type QuantizedWeight, tf } from '@heed/tensor-backend'
import { type LoadReport, matchStateDict, type StateDict } from './state-dict.ts'

/** A trainable tensor. It is a tfjs variable, so `tf.variableGrads` finds it. */
export type Parameter = tf.Variable

/**
 * A part of a model: parameters and children under the names that a checkpoint gives them.
 * The key of a parameter is the path to it, `model.layers.0.self_attn.q_proj.weight`; no case is converted.
 */
export abstract class Module {
  readonly #parameters = new Map<string, Parameter>()
  readonly #children = new Map<string, Module>()
  readonly #quantized = new Map<string, QuantizedWeight>()
  #isTraining = false

  /**
   * Registers a parameter. A tensor is taken over (do not use it afterwards); a variable of another module is shared:
   * the weight is tied, and counts and is saved once, under the first of its keys.
   */
  protected parameter(
    name: string,
    initial: tf.Tensor,
    { isTrainable = true }: { isTrainable?: boolean } = {},
  ): Parameter {
    this.#checkName(name)
    if (initial instanceof tf.Variable) {
      this.#parameters.set(name, initial)
      return initial
    }
    const parameter = tf.variable(initial, isTrainable)
    initial.dispose()
    this.#parameters.set(name, parameter)
    return parameter
  }

  /**
   * Puts a weight in few bits in the place of a parameter, which it frees: it is no parameter any more, is neither trained nor
   * in the state dict, and belongs to every module that is given it.
   */
  protected replaceParameter(name: string, weight: QuantizedWeight): void {
    const parameter = this.#parameters.get(name)
    if (parameter && !parameter.isDisposed) parameter.dispose()
    this.#parameters.delete(name)
    this.#quantized.set(name, weight)
  }

  /** Registers a part and returns it. An empty name adds nothing to the keys of its parameters. */
  protected child<M extends Module>(name: string, module: M): M {
    this.#checkName(name)
    this.#children.set(name, module)
    return module
  }

  /** Registers parts as `name.0`, `name.1`, ... and returns them. */
  protected childList<M extends Module>(name: string, modules: M[]): M[] {
    return modules.map((module, i) => this.child(`${name}.${i}`, module))
  }

  #checkName(name: string): void {
    if (!this.#parameters.has(name) && !this.#children.has(name)) return
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `${this.constructor.name}: name is ${JSON.stringify(name)}, expected one that no other parameter or child has. Rename one.`,
    )
  }

  /** Every module of the tree with its path, this one first (path `''`), each before its children. */
  *namedModules(prefix = ''): Generator<[path: string, module: Module]> {
    yield [prefix, this]
    for (const [name, module] of this.#children) yield* module.namedModules(joined(prefix, name))
  }

  /** The parts of this module with their names, without the parts of parts. */
  *namedChildren(): Generator<[name: string, module: Module]> {
    yield* this.#children
  }

  /** The parameters of this module itself with their names, without those of its parts. */
  *ownParameters(): Generator<[name: string, parameter: Parameter]> {
    yield* this.#parameters
  }

  /** Every key with its parameter, in the order of PyTorch's state dict; a tied parameter comes under each of its keys. */
  *parameterKeys(): Generator<[key: string, parameter: Parameter]> {
    for (const [path, module] of this.namedModules()) {
      for (const [name, parameter] of module.ownParameters()) yield [joined(path, name), parameter]
    }
  }

  /** Every key with its weight in few bits, in checkpoint order; a tied weight comes under each of its keys. */
  *quantizedWeights(): Generator<[key: string, weight: QuantizedWeight]> {
    for (const [path, module] of this.namedModules()) {
      for (const [name, weight] of module.#quantized) yield [joined(path, name), weight]
    }
  }

  /** Every parameter once, under the first of its keys, in checkpoint order. */
  *namedParameters(): Generator<[key: string, parameter: Parameter]> {
    const seen = new Set<Parameter>()
    for (const [key, parameter] of this.parameterKeys()) {
      if (seen.has(parameter)) continue
      seen.add(parameter)
      yield [key, parameter]
    }
  }

  /** Every parameter once, in checkpoint order, frozen ones too. */
  parameters(): Parameter[] {
    return Array.from(this.namedParameters(), ([, parameter]) => parameter)
  }

  /** Numbers in all parameters and weights in few bits, tied ones counted once. */
  get numParameters(): number {
    const inFewBits = new Set(Array.from(this.quantizedWeights(), ([, weight]) => weight))
    const sum = this.parameters().reduce((total, { size }) => total + size, 0)
    return [...inFewBits].reduce((total, { shape: [rows, cols] }) => total + rows * cols, sum)
  }

  /** The live parameters by key: training changes them. Copy what must stay. */
  stateDict(): Map<string, Parameter> {
    return new Map(this.namedParameters())
  }

  /**
   * Copies values into the parameters. A tied parameter may come under any of its keys. With `strict: false`, missing and
   * unexpected keys are only reported. Throws HEED_STATE_DICT_MISMATCH, and then nothing has changed.
   */
  loadStateDict(state: StateDict, { strict = true }: { strict?: boolean } = {}): LoadReport {
    const tensors: ReadonlyMap<string, tf.Tensor> = state instanceof Map ? state : new Map(Object.entries(state))
    const { sources, ...report } = matchStateDict(this, tensors, { strict })
    tf.tidy(() => {
      // times 1: a true copy, since a clone shares memory that optimizers change in place
      for (const [key, parameter] of sources) parameter.assign(tf.mul(tensors.get(key)!.cast(parameter.dtype), 1))
    })
    return report
  }

  /** Whether dropout is on; off in a new module. */
  get isTraining(): boolean {
    return this.#isTraining
  }

  /** Turns dropout on here and in all children. */
  train(isTraining = true): this {
    for (const [, module] of this.namedModules()) module.#isTraining = isTraining
    return this
  }

  /** Turns dropout off here and in all children. */
  eval(): this {
    return this.train(false)
  }

  /** Freezes (`false`) or unfreezes all parameters of this part; a frozen parameter gets no gradient. */
  requiresGrad(isTrainable = true): this {
    for (const parameter of this.parameters()) parameter.trainable = isTrainable
    return this
  }

  /** Frees all parameters, also those tied to other modules. */
  dispose(): void {
    for (const parameter of this.parameters()) parameter.dispose()
    for (const weight of new Set(Array.from(this.quantizedWeights(), ([, of]) => of))) weight.dispose()
  }
}

function joined(path: string, name: string): string {
  return path && name ? `${path}.${name}` : path || name
}
