import { HeedError, lazyZeros, tf } from '@heed/tensor-backend'
import { clipFactor } from './gradient-clipping.ts'
import type { Gradients, NamedParameter, Optimizer, OptimizerStep } from './optimizer.ts'

/** The kinds of state that a parameter has, with their shapes. */
export type StateShapes = (value: tf.Variable) => Readonly<Record<string, number[]>>

/** An optimizer with zero-filled variables of some kinds for each parameter, named `kind.parameter` (`exp_avg.lm_head.weight`). */
export abstract class StatefulOptimizer implements Optimizer {
  stepCount = 0
  protected readonly parameters: readonly NamedParameter[]
  readonly #tensors = new Map<string, tf.Variable>()

  /** `kinds` are of the parameter's shape, unless a function says of which. */
  constructor(parameters: Iterable<NamedParameter>, kinds: readonly string[] | StateShapes) {
    this.parameters = [...parameters]
    const shapesOf: StateShapes =
      typeof kinds === 'function' ? kinds : ({ shape }) => Object.fromEntries(kinds.map(kind => [kind, shape]))
    for (const [name, value] of this.parameters) {
      for (const [kind, shape] of Object.entries(shapesOf(value))) {
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

  stateDict(): Map<string, tf.Tensor> {
    return new Map(this.#tensors)
  }

  /** Throws HEED_STATE_DICT_MISMATCH, and changes nothing then. */
  loadStateDict(state: ReadonlyMap<string, tf.Tensor>, stepCount: number): void {
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
    this.stepCount = stepCount
  }

  dispose(): void {
    for (const tensor of this.#tensors.values()) tensor.dispose()
    this.#tensors.clear()
  }
}
