import type { BackendKernel } from '../backends/kernel-backend.ts'
import { tf } from '../tf.ts'
import { checkArgument, checkFloats } from './checks.ts'
import { differentiable, hasKernel, runKernel } from './fused.ts'

/**
 * Zeroes each element with probability `rate` and scales the others by 1 / (1 - rate). Same seed, same mask.
 * x: any shape -> same shape. Srivastava et al. 2014. Throws HEED_ARGUMENT_INVALID,
 * HEED_DTYPE_UNSUPPORTED.
 */
export function dropout(x: tf.Tensor, rate: number, seed: number): tf.Tensor {
  checkRate('dropout', 'rate', rate)
  checkFloats('dropout', { x })
  if (rate === 0) return x.clone()
  if (!hasKernel('HeedDropout')) return composedDropout(x, rate, seed)
  const drop = (tensor: tf.Tensor): tf.Tensor => runKernel('HeedDropout', [tensor], { rate, seed })[0]!
  return differentiable(
    [x],
    () => drop(x),
    dy => [() => drop(dy)],
  )
}

/** Throws HEED_ARGUMENT_INVALID unless `rate` is a probability below 1. */
export function checkRate(op: string, name: string, rate: number): void {
  checkArgument(op, name, rate, rate >= 0 && rate < 1, 'at least 0 and below 1', 'It is the share of elements to drop.')
}

/** `dropout` from tfjs's own ops. */
export function composedDropout(x: tf.Tensor, rate: number, seed: number): tf.Tensor {
  return tf.tidy(() => tf.mul(x, tf.tensor(dropoutMask(x.size, rate, seed), x.shape)))
}

/** Elements whose hash lies below this are dropped: rate · 2³², as a whole number of 32 bits. */
export function dropThreshold(rate: number): number {
  return Math.min(Math.ceil(rate * 2 ** 32), 2 ** 32 - 1)
}

/**
 * 1 / (1 - rate) where kept, else 0: element i is dropped when hash(seed, i) < rate · 2³². The hash is the finaliser of
 * MurmurHash3 over `seed + i · 0x9e3779b9`, in 32-bit integers, so every backend draws the same mask.
 */
export function dropoutMask(size: number, rate: number, seed: number): Float32Array {
  const threshold = dropThreshold(rate)
  const kept = 1 / (1 - rate)
  const mask = new Float32Array(size)
  for (let i = 0; i < size; i++) {
    let h = (seed + Math.imul(i, 0x9e3779b9)) | 0
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
    mask[i] = (h ^ (h >>> 16)) >>> 0 < threshold ? 0 : kept
  }
  return mask
}

export const dropoutKernels: Record<string, BackendKernel> = {
  /** [x] -> y; of a gradient just the same. */
  HeedDropout(backend, [x]: [tf.TensorInfo], { rate, seed }: { rate: number; seed: number }) {
    const { address, library } = backend
    const y = backend.output(x.shape)
    const count = tf.util.sizeFromShape(x.shape)
    library.kernels.dropout(address(x), address(y), count, dropThreshold(rate), 1 / (1 - rate), seed | 0)
    return y
  },
}
