import type { KernelBackend } from '../backends/kernel-backend.ts'
import { tf } from '../tf.ts'
import { checkFloats, checkShape } from './checks.ts'

/** Scales gradients by min(1, maxNorm / (norm + 1e-6)), as `torch.nn.utils.clip_grad_norm_`. */
export interface Clip {
  norm: tf.Scalar
  maxNorm: number
}

/** `clip` as a tensor to multiply by; 1 without. */
export function clipFactor(clip: Clip | undefined): tf.Tensor {
  return clip ? tf.minimum(1, tf.div(clip.maxNorm, tf.add(clip.norm, 1e-6))) : tf.scalar(1)
}

/** `clip` as the two arguments of a kernel: the address of the norm, 0 without one, and its limit. */
export function clipArguments(backend: KernelBackend, clip: Clip | undefined): [norm: number, maxNorm: number] {
  return clip ? [backend.address(clip.norm), clip.maxNorm] : [0, 0]
}

/** `clip` as a last input and an attribute of a kernel that steps one parameter; neither without. */
export function clipInputs(clip: Clip | undefined): [norm: tf.Tensor[], limit: { maxNorm?: number }] {
  return clip ? [[clip.norm], { maxNorm: clip.maxNorm }] : [[], {}]
}

/** Throws HEED_SHAPE_MISMATCH, HEED_DTYPE_UNSUPPORTED unless all of a parameter's tensors look like its value. */
export function checkParameter(op: string, value: tf.Variable, others: Record<string, tf.Tensor>): void {
  checkFloats(op, { value })
  checkFloats(op, others)
  for (const name in others) checkShape(op, name, others[name]!, value.shape)
}
