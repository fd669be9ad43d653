import { checkOptionNames, HeedError, tf } from '@heed/tensor-backend'
import { checkNumber, namesOf } from '../checks.ts'
import type { Gradients, NamedParameter, OptimizerStep } from './optimizer.ts'
import { StatefulOptimizer } from './stateful-optimizer.ts'

export interface MuonConfig {
  /** 0.95 by default; Nesterov's. */
  momentum?: number
  /** Decoupled, as AdamW's. */
  weightDecay?: number
}

/** Coefficients of the Newton-Schulz iteration, whose slope at 0 is as high as it can be. */
const [a, b, c] = [3.4445, -4.775, 2.0315]
const numIterations = 5

const known = namesOf<MuonConfig>({ momentum: true, weightDecay: true })

/**
 * Muon, Jordan et al. 2024 (kellerjordan.github.io/posts/muon): the momentum of a matrix is made orthogonal before it is a
 * step. Numbers of `torch.optim.Muon(adjust_lr_fn='match_rms_adamw')` in F32, whose steps are as large as AdamW's
 * (arXiv:2502.16982), so that a learning rate and decay that suit AdamW suit it too.
 */
export class Muon extends StatefulOptimizer {
  readonly #momentum: number
  readonly #weightDecay: number

  /** Throws HEED_ARGUMENT_INVALID when a parameter is no matrix: such belong to another optimizer, see `suitsMuon`. */
  constructor(parameters: Iterable<NamedParameter>, config: MuonConfig = {}) {
    checkOptionNames('Muon', config, known)
    const { momentum = 0.95, weightDecay = 0 } = config
    checkNumber('Muon', 'momentum', momentum, { min: 0, below: 1 })
    checkNumber('Muon', 'weightDecay', weightDecay, { min: 0 })
    const all = [...parameters]
    const other = all.find(([, value]) => value.rank !== 2)
    if (other) {
      const [name, { shape }] = other
      throw new HeedError(
        'HEED_ARGUMENT_INVALID',
        `Muon: ${name} is of shape [${shape.join(', ')}], expected a matrix. Give it to AdamW.`,
      )
    }
    super(all, ['momentum_buffer'])
    this.#momentum = momentum
    this.#weightDecay = weightDecay
  }

  override step(gradients: Gradients, { learningRate, clip }: OptimizerStep): void {
    const momentum = this.#momentum
    this.stepCount += 1
    tf.tidy(() => {
      for (const [name, value, gradient] of this.clipped(gradients, clip)) {
        const buffer = this.stateOf('momentum_buffer', name)
        buffer.assign(tf.add(tf.mul(buffer, momentum), tf.mul(gradient, 1 - momentum)))
        const ahead = tf.add(tf.mul(gradient, 1 - momentum), tf.mul(buffer, momentum)) as tf.Tensor2D
        const size = 0.2 * Math.sqrt(Math.max(...value.shape)) * learningRate
        const step = tf.mul(orthogonal(ahead), size)
        value.assign(tf.sub(tf.mul(value, 1 - learningRate * this.#weightDecay), step))
      }
    })
  }
}

/** The nearest matrix with singular values of about 1, [m, n] -> [m, n]. */
function orthogonal(matrix: tf.Tensor2D): tf.Tensor2D {
  const [rows, columns] = matrix.shape
  const isTall = rows > columns
  let x: tf.Tensor2D = isTall ? tf.transpose(matrix) : matrix
  x = tf.div(x, tf.maximum(tf.norm(x), 1e-7))
  for (let i = 0; i < numIterations; i++) {
    const gram = tf.matMul(x, x, false, true)
    const update = tf.add(tf.mul(gram, b), tf.mul(tf.matMul(gram, gram), c)) as tf.Tensor2D
    x = tf.add(tf.mul(x, a), tf.matMul(update, x))
  }
  return isTall ? tf.transpose(x) : x
}

const tablesAndHeads = /embed|lm_head|(?:^|\.)(?:wte|wpe|shared|classifier|score|decoder\.weight)(?:\.|$)/

/** Whether a parameter is a matrix inside the model: tables of embeddings and output layers are not, as Muon's authors say. */
export function suitsMuon(name: string, value: tf.Tensor): boolean {
  return value.rank === 2 && !tablesAndHeads.test(name)
}
