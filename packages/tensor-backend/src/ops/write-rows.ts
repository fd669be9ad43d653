import { tf } from '../tf.ts'
import { checkShape } from './checks.ts'

/**
 * target[:, offset : offset + numRows] = rows, in place: how a KV cache grows.
 * target: [batch, capacity, numHeads, headDim], rows: [batch, numRows, numHeads, headDim], offset + numRows <= capacity.
 * Throws HEED_SHAPE_MISMATCH.
 */
export function writeRows(target: tf.Variable, rows: tf.Tensor, offset: number): void {
  const [batch, capacity, numHeads, headDim] = target.shape as [number, number, number, number]
  checkShape('writeRows', 'rows', rows, [batch, Math.min(rows.shape[1]!, capacity - offset), numHeads, headDim])
  composedWriteRows(target, rows, offset)
}

/** `writeRows` from tfjs's own ops. */
export function composedWriteRows(target: tf.Variable, rows: tf.Tensor, offset: number): void {
  const [batch, capacity, numHeads, headDim] = target.shape as [number, number, number, number]
  const end = offset + rows.shape[1]!
  tf.tidy(() => {
    const before = tf.slice(target, [0, 0, 0, 0], [batch, offset, numHeads, headDim])
    const after = tf.slice(target, [0, end, 0, 0], [batch, capacity - end, numHeads, headDim])
    target.assign(tf.concat([before, rows, after], 1))
  })
}
