import { HeedError, lazyZeros, tf } from '@heed/tensor-backend'
import { clipFactor } from './gradient-clipping.ts'
import type { Gradients, NamedParameter, Optimizer, OptimizerStep } from './optimizer.ts'

/** The kinds of state that a parameter has, with their shapes. */
export type StateShapes = (value: tf.Variable) => Readonly<Record<string, number[]>>

/** The kind of state that is the number of steps in which a parameter had a gradient: a scalar. */
const STEP = 'step'

/**
 * An optimizer with zero-filled variables of some kinds for each parameter, named `kind.parameter` (`exp_avg.lm_head.weight`).
 * Where `step` is among the kinds, each parameter counts its own steps, as in torch: one without a gradient, such as that of an
 * expert that no token chose, is not a step further.
 */
export abstract class StatefulOptimizer implements Optimizer {
  stepCount = 0
  protected readonly parameters: readonly NamedParameter[]
  readonly #tensors = new Map<string, tf.Variable>()
  /** Of the parameters that count their own; written to their variables when the state is asked for. */
  readonly #steps = new Map<string, number>()

  /** `kinds` are of the parameter's shape, unless a function says of which. */
  constructor(parameters: Iterable<NamedParameter>, kinds: readonly string[] | StateShapes) {
    this.parameters = [...parameters]
    const shapesOf: StateShapes =
      typeof kinds === 'function' ? kinds : ({ shape }) => Object.fromEntries(kinds.map(kind => [kind, shape]))
    for (const [name, value] of this.parameters) {
      for (const [kind, shape] of Object.entries(shapesOf(value))) {
        if (kind === STEP) this.#steps.set(name, 0)
        const zeros = lazyZeros(shape)
        this.#tensors.set(`${kind}.${name}`, tf.variable(zeros, false))
        zeros.dispose()
      }
    }
  }

  abstract step(gradients: Gradients, options: OptimizerStep): void

  /** The parameters that have a gradient, each with it, scaled as `clip` says; to be called in a `tidy`. */
  protected *clipped(
    gradients: Gradients,
    clip: OptimizerStep['clip'],
  ): Generator<[name: string, value: tf.Variable, gradient: tf.Tensor]> {
    const factor = clip && clipFactor(clip.norm, clip.maxNorm)
    for (const [name, value] of this.parameters) {
      const gradient = gradients.get(name)
      if (gradient) yield [name, value, factor ? tf.mul(gradient, factor) : gradient]
    }
  }

  protected stateOf(kind: string, name: string): tf.Variable {
    return this.#tensors.get(`${kind}.${name}`)!
  }

  /** Counts a step of a parameter -> how many it has done with this one. */
  protected countStep(name: string): number {
    const count = this.#steps.get(name)! + 1
    this.#steps.set(name, count)
    return count
  }

  stateDict(): Map<string, tf.Tensor> {
    tf.tidy(() => {
      for (const [name, count] of this.#steps) this.stateOf(STEP, name).assign(tf.scalar(count))
    })
    return new Map(this.#tensors)
  }

  /**
   * A state of before parameters counted their own steps is one of `stepCount` for each. Throws HEED_STATE_DICT_MISMATCH, and
   * changes nothing then.
   */
  loadStateDict(given: ReadonlyMap<string, tf.Tensor>, stepCount: number): void {
    const state = new Map(given)
    const counts = new Map<string, number>()
    for (const name of this.#steps.keys()) {
      const key = `${STEP}.${name}`
      const saved = given.get(key)
      counts.set(name, saved?.rank === 0 ? saved.dataSync()[0]! : stepCount)
      if (!saved) state.set(key, this.stateOf(STEP, name))
    }
    this.#load(state)
    for (const [name, count] of counts) this.#steps.set(name, count)
    this.stepCount = stepCount
  }

  #load(state: ReadonlyMap<string, tf.Tensor>): void {
    const names = new Set([...this.#tensors.keys(), ...state.keys()])
    for (const name of names) {
      const own = this.#tensors.get(name)?.shape.join(', ')
      const given = state.get(name)?.shape.join(', ')
      if (own === given) continue
      const found = given === undefined ? 'missing' : `of shape [${given}]`
      const expected = own === undefined ? 'no such tensor' : `shape [${own}]`
      throw new HeedError(
        'HEED_STATE_DICT_MISMATCH',
        `optimizer state: ${name} is ${found}, expected ${expected}. The checkpoint is of another model or optimizer.`,
      )
    }
    tf.tidy(() => {
      // times 1: a true copy, since assigning shares memory that steps change in place
      for (const [name, value] of state) this.#tensors.get(name)!.assign(tf.mul(value, 1))
    })
  }

  dispose(): void {
    for (const tensor of this.#tensors.values()) tensor.dispose()
    this.#tensors.clear()
  }
}
