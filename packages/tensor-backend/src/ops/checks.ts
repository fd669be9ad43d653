import { HeedError } from '../errors.ts'
import type { tf } from '../tf.ts'

function describe(shape: number[]): string {
  return `[${shape.join(', ')}]`
}

/** Throws HEED_SHAPE_MISMATCH unless `tensor` has exactly this shape; -1 stands for any size. */
export function checkShape(op: string, name: string, tensor: tf.Tensor, expected: number[]): void {
  const { shape } = tensor
  if (shape.length === expected.length && expected.every((size, axis) => size === -1 || size === shape[axis])) return
  throw new HeedError(
    'HEED_SHAPE_MISMATCH',
    `${op}: ${name} has shape ${describe(shape)}, expected ${describe(expected)}${expected.includes(-1) ? ' (-1 is any size)' : ''}. ` +
      `Reshape ${name} or check the sizes it was made with.`,
  )
}

/** Throws HEED_SHAPE_MISMATCH unless `tensor` has this rank. */
export function checkRank(op: string, name: string, tensor: tf.Tensor, rank: number, axes: string): void {
  if (tensor.rank === rank) return
  throw new HeedError(
    'HEED_SHAPE_MISMATCH',
    `${op}: ${name} has shape ${describe(tensor.shape)}, expected ${rank} axes ${axes}. Reshape ${name} first.`,
  )
}

/** Throws HEED_SHAPE_MISMATCH unless the last axis of `tensor` has this size. */
export function checkLastDim(op: string, name: string, tensor: tf.Tensor, sizeName: string, size: number): void {
  if (tensor.shape.at(-1) === size) return
  throw new HeedError(
    'HEED_SHAPE_MISMATCH',
    `${op}: ${name} has shape ${describe(tensor.shape)}, expected a last axis of ${sizeName} = ${size}. ` +
      `Check which layer made ${name}.`,
  )
}

/** Throws HEED_DTYPE_UNSUPPORTED unless `tensor` has this dtype. */
export function checkDtype(op: string, name: string, tensor: tf.Tensor, dtype: tf.DataType): void {
  if (tensor.dtype === dtype) return
  throw new HeedError(
    'HEED_DTYPE_UNSUPPORTED',
    `${op}: ${name} has dtype ${tensor.dtype}, expected ${dtype}. Convert it with ${name}.cast('${dtype}').`,
  )
}
