import { checkOptionNames, tf } from '@heed/tensor-backend'
import { checkNumber, namesOf } from '../checks.ts'
import type { Gradients, NamedParameter, OptimizerStep } from './optimizer.ts'
import { StatefulOptimizer } from './stateful-optimizer.ts'
import { hasWeightDecay } from './weight-decay.ts'

export interface AdafactorConfig {
  /** Added to squares of gradients, 1e-30 by default. */
  eps?: number
  /** Updates are scaled down to this root mean square, 1 by default. */
  clipThreshold?: number
  /** beta2 of step t is 1 - t^decayRate; -0.8 by default. */
  decayRate?: number
  weightDecay?: number
}

const known = namesOf<AdafactorConfig>({ eps: true, clipThreshold: true, decayRate: true, weightDecay: true })

/**
 * Adafactor, Shazeer & Stern 2018 (arXiv:1804.04235), with a given learning rate: of the squares of a matrix's gradients only
 * means of rows and columns are kept. Numbers of HF's `Adafactor(scale_parameter=False, relative_step=False)`, which its
 * `Trainer` uses.
 */
export class Adafactor extends StatefulOptimizer {
  readonly #config: Required<AdafactorConfig>

  /** Throws HEED_ARGUMENT_INVALID. */
  constructor(parameters: Iterable<NamedParameter>, config: AdafactorConfig = {}) {
    checkOptionNames('Adafactor', config, known)
    const complete = { eps: 1e-30, clipThreshold: 1, decayRate: -0.8, weightDecay: 0, ...config }
    checkNumber('Adafactor', 'eps', complete.eps, { min: 0 })
    checkNumber('Adafactor', 'clipThreshold', complete.clipThreshold, { above: 0 })
    checkNumber('Adafactor', 'decayRate', complete.decayRate, { max: 0 })
    checkNumber('Adafactor', 'weightDecay', complete.weightDecay, { min: 0 })
    super(parameters, ({ shape }) =>
      shape.length < 2
        ? { exp_avg_sq: shape, step: [] }
        : { exp_avg_sq_row: shape.slice(0, -1), exp_avg_sq_col: [...shape.slice(0, -2), shape.at(-1)!], step: [] },
    )
    this.#config = complete
  }

  override step(gradients: Gradients, { learningRate, clip }: OptimizerStep): void {
    const { eps, clipThreshold, decayRate, weightDecay } = this.#config
    this.stepCount += 1
    tf.tidy(() => {
      for (const [name, value, gradient] of this.clipped(gradients, clip)) {
        const beta2 = 1 - this.countStep(name) ** decayRate
        const square = tf.add(tf.square(gradient), eps)
        const average = (kind: string, now: tf.Tensor): tf.Tensor => {
          const state = this.stateOf(kind, name)
          state.assign(tf.add(tf.mul(state, beta2), tf.mul(now, 1 - beta2)))
          return state
        }
        const inverseRoot =
          value.rank < 2
            ? tf.rsqrt(average('exp_avg_sq', square))
            : factored(average('exp_avg_sq_row', tf.mean(square, -1)), average('exp_avg_sq_col', tf.mean(square, -2)))
        const direction = tf.mul(inverseRoot, gradient)
        const excess = tf.maximum(tf.div(rootMeanSquare(direction), clipThreshold), 1)
        const decay = hasWeightDecay(name, value) ? 1 - learningRate * weightDecay : 1
        value.assign(tf.sub(tf.mul(value, decay), tf.mul(tf.div(direction, excess), learningRate)))
      }
    })
  }
}

/** 1 / sqrt(row · column / mean(row)): rows [..., m], columns [..., n] -> [..., m, n]. Eq. 4 of the paper. */
function factored(rows: tf.Tensor, columns: tf.Tensor): tf.Tensor {
  const ofRows = tf.rsqrt(tf.div(rows, tf.mean(rows, -1, true)))
  return tf.mul(tf.expandDims(ofRows, -1), tf.expandDims(tf.rsqrt(columns), -2))
}

const rootMeanSquare = (x: tf.Tensor): tf.Tensor => tf.sqrt(tf.mean(tf.square(x)))
