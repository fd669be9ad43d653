import { tf } from '../tf.ts'

export interface AdamWParameter {
  value: tf.Variable
  gradient: tf.Tensor
  /** Running mean of the gradient and of its square, updated in place. */
  mean: tf.Variable
  meanSquare: tf.Variable
  /** Decoupled decay of this parameter per unit of learning rate. */
  weightDecay: number
}

export interface AdamWOptions {
  learningRate: number
  beta1: number
  beta2: number
  eps: number
  /** 1 on the first step: the exponent of the bias corrections. */
  step: number
  /** Clips by the global norm, in the same pass: gradients are scaled by min(1, maxNorm / (norm + 1e-6)). */
  clip?: { norm: tf.Scalar; maxNorm: number }
}

/**
 * One AdamW step over all parameters, in place. Loshchilov & Hutter 2017 (arXiv:1711.05101), algorithm 2;
 * same numbers as `torch.optim.AdamW` after `torch.nn.utils.clip_grad_norm_`.
 */
export function adamW(parameters: AdamWParameter[], options: AdamWOptions): void {
  composedAdamW(parameters, options)
}

/** `adamW` from tfjs's own ops. */
export function composedAdamW(
  parameters: AdamWParameter[],
  { learningRate, beta1, beta2, eps, step, clip }: AdamWOptions,
): void {
  const correction1 = 1 - beta1 ** step
  const correction2 = Math.sqrt(1 - beta2 ** step)
  tf.tidy(() => {
    const scale = clip ? tf.minimum(1, tf.div(clip.maxNorm, tf.add(clip.norm, 1e-6))) : tf.scalar(1)
    for (const { value, gradient, mean, meanSquare, weightDecay } of parameters) {
      const g = tf.mul(gradient, scale)
      const m = tf.add(tf.mul(mean, beta1), tf.mul(g, 1 - beta1))
      const s = tf.add(tf.mul(meanSquare, beta2), tf.mul(tf.square(g), 1 - beta2))
      const denominator = tf.add(tf.div(tf.sqrt(s), correction2), eps)
      const update = tf.mul(tf.div(m, denominator), learningRate / correction1)
      value.assign(tf.sub(tf.mul(value, 1 - learningRate * weightDecay), update))
      mean.assign(m)
      meanSquare.assign(s)
    }
  })
}
