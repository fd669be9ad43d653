import type { KernelBackend } from '../backends/kernel-backend.ts'
import { tf } from '../tf.ts'
import { hasKernel } from './fused.ts'
import { addressToWrite, inPlaceBackend, runInPlace } from './in-place.ts'
import { type Clip, checkParameter, clipArguments, clipFactor, clipInputs } from './optimizer-step.ts'
import { withTable } from './workspace.ts'

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
  /** Clips by the global norm in the same pass. */
  clip?: Clip
}

/**
 * One AdamW step over all parameters, in place. Loshchilov & Hutter 2017 (arXiv:1711.05101), algorithm 2;
 * same numbers as `torch.optim.AdamW` after `torch.nn.utils.clip_grad_norm_`.
 * Throws HEED_SHAPE_MISMATCH, HEED_DTYPE_UNSUPPORTED.
 */
export function adamW(parameters: AdamWParameter[], options: AdamWOptions): void {
  for (const { value, gradient, mean, meanSquare } of parameters) {
    checkParameter('adamW', value, { gradient, mean, meanSquare })
  }
  const backend = inPlaceBackend()
  if (backend) stepInPlace(backend, parameters, options)
  else if (hasKernel('HeedAdamW')) stepEach(parameters, options)
  else composedAdamW(parameters, options)
}

/** One kernel a parameter. */
function stepEach(parameters: AdamWParameter[], { clip, ...settings }: AdamWOptions): void {
  for (const { value, gradient, mean, meanSquare, weightDecay } of parameters) {
    const [tensors, limit] = clipInputs(clip)
    runInPlace('HeedAdamW', [value, mean, meanSquare], [gradient, ...tensors], { ...settings, ...limit, weightDecay })
  }
}

function stepInPlace(backend: KernelBackend, parameters: AdamWParameter[], options: AdamWOptions): void {
  const table = parameters.flatMap(({ value, gradient, mean, meanSquare, weightDecay }) => [
    addressToWrite(backend, value),
    backend.address(gradient),
    addressToWrite(backend, mean),
    addressToWrite(backend, meanSquare),
    value.size,
    weightDecay,
  ])
  const { learningRate, beta1, beta2, eps, step, clip } = options
  const corrections = [1 - beta1 ** step, 1 - beta2 ** step] as const
  withTable(backend, table, at => {
    const settings = [...clipArguments(backend, clip), learningRate, beta1, beta2, eps] as const
    backend.library.kernels.adamw(at, parameters.length, ...settings, ...corrections)
  })
}

/** `adamW` from tfjs's own ops. */
export function composedAdamW(
  parameters: AdamWParameter[],
  { learningRate, beta1, beta2, eps, step, clip }: AdamWOptions,
): void {
  const correction1 = 1 - beta1 ** step
  const correction2 = Math.sqrt(1 - beta2 ** step)
  tf.tidy(() => {
    const scale = clipFactor(clip)
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
