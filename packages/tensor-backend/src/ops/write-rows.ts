import { tf } from '../tf.ts'
import { checkArgument, checkDtype, checkFloats, checkRank, checkShape } from './checks.ts'
import { hasKernel } from './fused.ts'
import { addressToWrite, inPlaceBackend, runInPlace } from './in-place.ts'

/**
 * target[:, offset : offset + numRows] = rows, in place: how a KV cache grows.
 * target: [batch, capacity, numHeads, headDim], rows: [batch, numRows, numHeads, headDim], offset + numRows <= capacity.
 * Both float32, or both packed rows (int32). Throws HEED_SHAPE_MISMATCH, HEED_DTYPE_UNSUPPORTED, HEED_ARGUMENT_INVALID.
 */
export function writeRows(target: tf.Variable, rows: tf.Tensor, offset: number): void {
  checkRank('writeRows', 'target', target, 4, '[batch, capacity, numHeads, headDim]')
  if (target.dtype === 'int32') checkDtype('writeRows', 'rows', rows, 'int32')
  else checkFloats('writeRows', { target, rows })
  const [batch, capacity, numHeads, headDim] = target.shape as [number, number, number, number]
  checkShape('writeRows', 'rows', rows, [batch, -1, numHeads, headDim])
  const numRows = rows.shape[1]!
  const isInside = Number.isInteger(offset) && offset >= 0 && offset + numRows <= capacity
  const rule = `a whole number from 0 to ${capacity - numRows}, so that ${numRows} rows fit in ${capacity}`
  checkArgument('writeRows', 'offset', offset, isInside, rule, 'Make the cache larger.')
  const backend = inPlaceBackend()
  if (backend) {
    const addresses = [addressToWrite(backend, target), backend.address(rows)] as const
    backend.library.kernels.writeRows(...addresses, batch, capacity, numRows, offset, numHeads * headDim)
  } else if (hasKernel('HeedWriteRows')) {
    runInPlace('HeedWriteRows', [target], [rows], { offset })
  } else {
    composedWriteRows(target, rows, offset)
  }
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
