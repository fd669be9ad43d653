import type { KernelBackend } from '../backends/kernel-backend.ts'
import { tf } from '../tf.ts'
import { hasKernel } from './fused.ts'
import { addressToWrite, inPlaceBackend, runInPlace } from './in-place.ts'
import { type Clip, checkParameter, clipArguments, clipFactor, clipInputs } from './optimizer-step.ts'
import { withTable } from './workspace.ts'

export interface SgdParameter {
  value: tf.Variable
  gradient: tf.Tensor
  /** Updated in place; needed when `momentum` is not 0. */
  velocity?: tf.Variable | undefined
  /** Added to the gradient as weightDecay · value. */
  weightDecay: number
}

export interface SgdOptions {
  learningRate: number
  /** 0 for plain gradient descent. */
  momentum: number
  isNesterov?: boolean
  /** Clips by the global norm in the same pass. */
  clip?: Clip
}

/**
 * One step of gradient descent over all parameters, in place: v = momentum · v + g; value -= learningRate · v.
 * Same numbers as `torch.optim.SGD`. Throws HEED_SHAPE_MISMATCH, HEED_DTYPE_UNSUPPORTED.
 */
export function sgd(parameters: SgdParameter[], options: SgdOptions): void {
  for (const { value, gradient, velocity } of parameters) {
    checkParameter('sgd', value, { gradient, ...(velocity && { velocity }) })
  }
  const backend = inPlaceBackend()
  if (backend) stepInPlace(backend, parameters, options)
  else if (hasKernel('HeedSgd')) stepEach(parameters, options)
  else composedSgd(parameters, options)
}

/** One kernel a parameter. */
function stepEach(parameters: SgdParameter[], options: SgdOptions): void {
  const { learningRate, momentum, isNesterov = false, clip } = options
  for (const { value, gradient, velocity, weightDecay } of parameters) {
    const [tensors, limit] = clipInputs(clip)
    const variables = momentum === 0 ? [value] : [value, velocity!]
    const settings = { learningRate, momentum, isNesterov, ...limit, weightDecay }
    runInPlace('HeedSgd', variables, [gradient, ...tensors], settings)
  }
}

function stepInPlace(backend: KernelBackend, parameters: SgdParameter[], options: SgdOptions): void {
  const { learningRate, momentum, isNesterov = false, clip } = options
  const table = parameters.flatMap(({ value, gradient, velocity, weightDecay }) => [
    addressToWrite(backend, value),
    backend.address(gradient),
    momentum === 0 ? 0 : addressToWrite(backend, velocity!),
    value.size,
    weightDecay,
  ])
  withTable(backend, table, at => {
    const settings = [...clipArguments(backend, clip), learningRate, momentum, isNesterov ? 1 : 0] as const
    backend.library.kernels.sgd(at, parameters.length, ...settings)
  })
}

/** `sgd` from tfjs's own ops. */
export function composedSgd(
  parameters: SgdParameter[],
  { learningRate, momentum, isNesterov, clip }: SgdOptions,
): void {
  tf.tidy(() => {
    const scale = clipFactor(clip)
    for (const { value, gradient, velocity, weightDecay } of parameters) {
      let update = tf.add(tf.mul(gradient, scale), tf.mul(value, weightDecay))
      if (momentum !== 0) {
        const v = tf.add(tf.mul(velocity!, momentum), update)
        velocity!.assign(v)
        update = isNesterov ? tf.add(update, tf.mul(v, momentum)) : v
      }
      value.assign(tf.sub(value, tf.mul(update, learningRate)))
    }
  })
}
