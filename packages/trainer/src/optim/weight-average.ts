import { tf } from '@heed/tensor-backend'
import type { Gradients, NamedParameter, Optimizer, OptimizerStep } from './optimizer.ts'

const prefix = 'ema.'

/**
 * An optimizer that also keeps the exponential moving average of the weights: the weights of the first step, then
 * decay · average + (1 - decay) · weights. Numbers of `torch.optim.swa_utils.AveragedModel` with `get_ema_multi_avg_fn`.
 * The averages are part of its state, named `ema.<parameter>`.
 */
export class WeightAverage implements Optimizer {
  readonly #averages: ReadonlyMap<string, tf.Variable>
  #own: Map<string, tf.Tensor> | undefined

  constructor(
    readonly inner: Optimizer,
    readonly parameters: readonly NamedParameter[],
    readonly decay: number,
  ) {
    const copy = (value: tf.Tensor): tf.Variable => tf.tidy(() => tf.variable(tf.mul(value, 1), false))
    this.#averages = new Map(parameters.map(([name, value]) => [name, copy(value)]))
  }

  get stepCount(): number {
    return this.inner.stepCount
  }

  step(gradients: Gradients, options: OptimizerStep): void {
    this.inner.step(gradients, options)
    const decay = this.stepCount === 1 ? 0 : this.decay
    tf.tidy(() => {
      for (const [name, value] of this.parameters) {
        const average = this.#averages.get(name)!
        average.assign(tf.add(tf.mul(average, decay), tf.mul(value, 1 - decay)))
      }
    })
  }

  /** Gives the parameters their averages, until `restore`; nothing before the first step. */
  apply(): void {
    if (this.#own || this.stepCount === 0) return
    this.#own = new Map(this.parameters.map(([name, value]) => [name, tf.keep(tf.mul(value, 1))]))
    this.#assign(this.#averages)
  }

  /** Gives the parameters their own values back. */
  restore(): void {
    if (!this.#own) return
    this.#assign(this.#own)
    tf.dispose([...this.#own.values()])
    this.#own = undefined
  }

  #assign(values: ReadonlyMap<string, tf.Tensor>): void {
    tf.tidy(() => {
      // times 1: a true copy, since assigning shares memory that steps change in place
      for (const [name, value] of this.parameters) value.assign(tf.mul(values.get(name)!, 1))
    })
  }

  stateDict(): Map<string, tf.Tensor> {
    const averages = [...this.#averages].map(([name, value]) => [prefix + name, value] as const)
    return new Map<string, tf.Tensor>([...this.inner.stateDict(), ...averages])
  }

  /** Averages that the state does not have begin with the weights as they are. Throws HEED_STATE_DICT_MISMATCH. */
  loadStateDict(state: ReadonlyMap<string, tf.Tensor>, stepCount: number): void {
    const entries = [...state]
    this.inner.loadStateDict(new Map(entries.filter(([name]) => !name.startsWith(prefix))), stepCount)
    tf.tidy(() => {
      for (const [name, value] of this.parameters) {
        this.#averages.get(name)!.assign(tf.mul(state.get(prefix + name) ?? value, 1))
      }
    })
  }

  dispose(): void {
    this.inner.dispose()
    tf.dispose([...this.#averages.values(), ...(this.#own?.values() ?? [])])
  }
}
