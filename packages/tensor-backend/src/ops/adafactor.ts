import { tf } from '../tf.ts'
import { type Clip, checkParameter, clipFactor } from './optimizer-step.ts'

export interface AdafactorParameter {
  value: tf.Variable
  gradient: tf.Tensor
  /** Running mean of the squared gradient over the last axis, [..., rows, 1]; of matrices only. Updated in place. */
  rowVariance?: tf.Variable
  /** The same over the axis before it, [..., 1, cols]. */
  columnVariance?: tf.Variable
  /** Running mean of the squared gradient, of scalars and vectors only. */
  variance?: tf.Variable
  /** Decoupled decay of this parameter per unit of learning rate. */
  weightDecay: number
}

export interface AdafactorOptions {
  learningRate: number
  /** The mean of squares decays by 1 - step ** beta2Decay. */
  beta2Decay: number
  /** Least mean of squares (its root), and least scale of a parameter. */
  eps: [number, number]
  /** The root mean square of an update is clipped to this. */
  clipThreshold: number
  /** 1 on the first step. */
  step: number
  /** Clips gradients by the global norm first. */
  clip?: Clip
}

/**
 * One Adafactor step over all parameters, in place. Matrices keep only the means of the squared gradient over rows and
 * columns. Shazeer & Stern 2018 (arXiv:1804.04235), algorithms 4 and 5; same numbers as `torch.optim.Adafactor`.
 * Throws HEED_SHAPE_MISMATCH, HEED_DTYPE_UNSUPPORTED.
 */
export function adafactor(parameters: AdafactorParameter[], options: AdafactorOptions): void {
  for (const { value, gradient } of parameters) checkParameter('adafactor', value, { gradient })
  const { learningRate, beta2Decay, eps, clipThreshold, step, clip } = options
  const fresh = step ** beta2Decay // the share of the new gradient in the means
  const rho = Math.min(learningRate, 1 / Math.sqrt(step))
  tf.tidy(() => {
    const scale = clipFactor(clip)
    for (const parameter of parameters) {
      const { value, weightDecay } = parameter
      const gradient = tf.mul(parameter.gradient, scale)
      const rate = tf.mul(tf.maximum(rootMeanSquare(value), eps[1]), rho)
      const estimate = tf.maximum(varianceEstimate(parameter, tf.square(gradient), fresh, eps[0]), eps[0] ** 2)
      const update = tf.mul(tf.rsqrt(estimate), gradient)
      const denominator = tf.maximum(tf.div(rootMeanSquare(update), clipThreshold), 1)
      const kept = tf.mul(value, 1 - learningRate * weightDecay)
      value.assign(tf.sub(kept, tf.mul(update, tf.div(rate, denominator))))
    }
  })
}

function rootMeanSquare(x: tf.Tensor): tf.Tensor {
  return tf.sqrt(tf.mean(tf.square(x)))
}

function moveTowards(mean: tf.Variable, to: tf.Tensor, share: number): tf.Tensor {
  mean.assign(tf.add(tf.mul(mean, 1 - share), tf.mul(to, share)))
  return mean
}

/** Updates the running means and gives the mean of squares of each element that they stand for. */
function varianceEstimate(
  { rowVariance, columnVariance, variance }: AdafactorParameter,
  squares: tf.Tensor,
  fresh: number,
  eps: number,
): tf.Tensor {
  if (squares.rank < 2) return moveTowards(variance!, squares, fresh)
  const rows = moveTowards(rowVariance!, tf.mean(squares, -1, true), fresh)
  const columns = moveTowards(columnVariance!, tf.mean(squares, -2, true), fresh)
  return tf.div(tf.mul(rows, columns), tf.maximum(tf.mean(rows, -2, true), eps))
}
