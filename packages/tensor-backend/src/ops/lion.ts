import type { KernelBackend } from '../backends/kernel-backend.ts'
import { tf } from '../tf.ts'
import { hasKernel } from './fused.ts'
import { addressToWrite, inPlaceBackend, runInPlace } from './in-place.ts'
import { type Clip, checkParameter, clipArguments, clipFactor, clipInputs } from './optimizer-step.ts'
import { withTable } from './workspace.ts'

export interface LionParameter {
  value: tf.Variable
  gradient: tf.Tensor
  /** Running mean of the gradient, updated in place. */
  mean: tf.Variable
  /** Decoupled decay of this parameter per unit of learning rate. */
  weightDecay: number
}

export interface LionOptions {
  learningRate: number
  beta1: number
  beta2: number
  /** Clips by the global norm in the same pass. */
  clip?: Clip
}

/**
 * One Lion step over all parameters, in place: each value moves by learningRate in the direction of
 * sign(beta1 · mean + (1 - beta1) · g). Chen et al. 2023 (arXiv:2302.06675), algorithm 2.
 * Throws HEED_SHAPE_MISMATCH, HEED_DTYPE_UNSUPPORTED.
 */
export function lion(parameters: LionParameter[], options: LionOptions): void {
  for (const { value, gradient, mean } of parameters) checkParameter('lion', value, { gradient, mean })
  const backend = inPlaceBackend()
  if (backend) stepInPlace(backend, parameters, options)
  else if (hasKernel('HeedLion')) stepEach(parameters, options)
  else composedLion(parameters, options)
}

/** One kernel a parameter. */
function stepEach(parameters: LionParameter[], { clip, ...settings }: LionOptions): void {
  for (const { value, gradient, mean, weightDecay } of parameters) {
    const [tensors, limit] = clipInputs(clip)
    runInPlace('HeedLion', [value, mean], [gradient, ...tensors], { ...settings, ...limit, weightDecay })
  }
}

function stepInPlace(backend: KernelBackend, parameters: LionParameter[], options: LionOptions): void {
  const { learningRate, beta1, beta2, clip } = options
  const table = parameters.flatMap(({ value, gradient, mean, weightDecay }) => [
    addressToWrite(backend, value),
    backend.address(gradient),
    addressToWrite(backend, mean),
    value.size,
    weightDecay,
  ])
  withTable(backend, table, at => {
    const settings = [...clipArguments(backend, clip), learningRate, beta1, beta2] as const
    backend.library.kernels.lion(at, parameters.length, ...settings)
  })
}

/** `lion` from tfjs's own ops. */
export function composedLion(parameters: LionParameter[], { learningRate, beta1, beta2, clip }: LionOptions): void {
  tf.tidy(() => {
    const scale = clipFactor(clip)
    for (const { value, gradient, mean, weightDecay } of parameters) {
      const g = tf.mul(gradient, scale)
      const direction = tf.sign(tf.add(tf.mul(mean, beta1), tf.mul(g, 1 - beta1)))
      mean.assign(tf.add(tf.mul(mean, beta2), tf.mul(g, 1 - beta2)))
      value.assign(tf.sub(tf.mul(value, 1 - learningRate * weightDecay), tf.mul(direction, learningRate)))
    }
  })
}
