import { checkOptionNames, tf } from '@heed/tensor-backend'
import { checkNumber, namesOf } from '../checks.ts'
import type { Gradients, NamedParameter, OptimizerStep } from './optimizer.ts'
import { StatefulOptimizer } from './stateful-optimizer.ts'
import { hasWeightDecay } from './weight-decay.ts'

export interface SgdConfig {
  momentum?: number
  /** Added to the gradient as weightDecay · value (L2, not decoupled), as in `torch.optim.SGD`. */
  weightDecay?: number
}

const known = namesOf<SgdConfig>({ momentum: true, weightDecay: true })

/** Stochastic gradient descent with momentum: v = momentum · v + g; value -= learningRate · v. Numbers of `torch.optim.SGD`. */
export class Sgd extends StatefulOptimizer {
  readonly #momentum: number
  readonly #weightDecay: number

  /** Throws HEED_ARGUMENT_INVALID. */
  constructor(parameters: Iterable<NamedParameter>, config: SgdConfig = {}) {
    checkOptionNames('Sgd', config, known)
    const { momentum = 0, weightDecay = 0 } = config
    checkNumber('Sgd', 'momentum', momentum, { min: 0, below: 1 })
    checkNumber('Sgd', 'weightDecay', weightDecay, { min: 0 })
    super(parameters, momentum > 0 ? ['momentum_buffer'] : [])
    this.#momentum = momentum
    this.#weightDecay = weightDecay
  }

  override step(gradients: Gradients, { learningRate, clip }: OptimizerStep): void {
    this.stepCount += 1
    tf.tidy(() => {
      for (const [name, value, gradient] of this.clipped(gradients, clip)) {
        let update = gradient
        if (this.#weightDecay && hasWeightDecay(name, value)) update = tf.add(update, tf.mul(value, this.#weightDecay))
        if (this.#momentum) {
          const velocity = this.stateOf('momentum_buffer', name)
          update = tf.add(tf.mul(velocity, this.#momentum), update)
          velocity.assign(update)
        }
        value.assign(tf.sub(value, tf.mul(update, learningRate)))
      }
    })
  }
}
