import { checkOptionNames, tf } from '@heed/tensor-backend'
import { checkNumber, namesOf } from '../checks.ts'
import type { Gradients, NamedParameter, OptimizerStep } from './optimizer.ts'
import { StatefulOptimizer } from './stateful-optimizer.ts'
import { hasWeightDecay } from './weight-decay.ts'

export interface LionConfig {
  /** Of the momentum in the step, 0.9 by default, and of the momentum that is kept, 0.99. */
  beta1?: number
  beta2?: number
  /** Decoupled, as AdamW's; use some 3 to 10 times as much, with a learning rate as much lower. */
  weightDecay?: number
}

const known = namesOf<LionConfig>({ beta1: true, beta2: true, weightDecay: true })

/**
 * Lion, Chen et al. 2023 (arXiv:2302.06675), algorithm 2: every weight moves by the learning rate, in the direction of
 * the sign of beta1 · m + (1 - beta1) · g. It keeps half of AdamW's state.
 */
export class Lion extends StatefulOptimizer {
  readonly #config: Required<LionConfig>

  /** Throws HEED_ARGUMENT_INVALID. */
  constructor(parameters: Iterable<NamedParameter>, config: LionConfig = {}) {
    checkOptionNames('Lion', config, known)
    const complete = { beta1: 0.9, beta2: 0.99, weightDecay: 0, ...config }
    checkNumber('Lion', 'beta1', complete.beta1, { min: 0, below: 1 })
    checkNumber('Lion', 'beta2', complete.beta2, { min: 0, below: 1 })
    checkNumber('Lion', 'weightDecay', complete.weightDecay, { min: 0 })
    super(parameters, ['exp_avg'])
    this.#config = complete
  }

  override step(gradients: Gradients, { learningRate, clip }: OptimizerStep): void {
    const { beta1, beta2, weightDecay } = this.#config
    this.stepCount += 1
    tf.tidy(() => {
      for (const [name, value, gradient] of this.clipped(gradients, clip)) {
        const mean = this.stateOf('exp_avg', name)
        const direction = tf.sign(tf.add(tf.mul(mean, beta1), tf.mul(gradient, 1 - beta1)))
        const decay = hasWeightDecay(name, value) ? 1 - learningRate * weightDecay : 1
        value.assign(tf.sub(tf.mul(value, decay), tf.mul(direction, learningRate)))
        mean.assign(tf.add(tf.mul(mean, beta2), tf.mul(gradient, 1 - beta2)))
      }
    })
  }
}
