import { tf } from '../tf.ts'
import { type AttentionOptions, attention } from './attention.ts'
import { checkArgument, checkFloats, checkRank, checkShape } from './checks.ts'
import { isRecording } from './fused.ts'
import { addressToWrite, inPlaceBackend } from './in-place.ts'
import { withTable, withWorkspace } from './workspace.ts'
import { writeRows } from './write-rows.ts'

/** Keys and values of one sequence, [1, capacity, numKeyValueHeads, headDim | valueDim], of which the first `length` are filled. */
export interface CachedSequence {
  keys: tf.Variable
  values: tf.Variable
  length: number
}

/**
 * `attention` of the next position of several sequences, each over a cache of its own, which takes in the position's key and
 * value. q: [count, 1, numHeads, headDim], k: [count, 1, numKeyValueHeads, headDim], v: [count, 1, numKeyValueHeads, valueDim]
 * -> [count, 1, numHeads, valueDim]. Not differentiable. Throws HEED_SHAPE_MISMATCH, HEED_DTYPE_UNSUPPORTED, HEED_ARGUMENT_INVALID.
 */
export function attendEach(
  q: tf.Tensor,
  k: tf.Tensor,
  v: tf.Tensor,
  sequences: readonly CachedSequence[],
  options: Pick<AttentionOptions, 'scale' | 'softcap' | 'slidingWindow'> = {},
): tf.Tensor {
  const count = sequences.length
  checkRank('attendEach', 'q', q, 4, '[count, 1, numHeads, headDim]')
  checkFloats('attendEach', { q, k, v })
  const [, , numHeads, headDim] = q.shape as [number, number, number, number]
  checkShape('attendEach', 'q', q, [count, 1, -1, -1])
  checkShape('attendEach', 'k', k, [count, 1, -1, headDim])
  const [, , numKeyValueHeads] = k.shape as [number, number, number]
  checkShape('attendEach', 'v', v, [count, 1, numKeyValueHeads, -1])
  const valueDim = v.shape[3]!
  const isGrouped = numHeads % numKeyValueHeads === 0
  checkArgument(
    'attendEach',
    'numHeads',
    numHeads,
    isGrouped,
    `a multiple of the ${numKeyValueHeads} heads of k`,
    'Check them.',
  )
  for (const { keys, values, length } of sequences) {
    checkShape('attendEach', 'keys', keys, [1, -1, numKeyValueHeads, headDim])
    const capacity = keys.shape[1]!
    checkShape('attendEach', 'values', values, [1, capacity, numKeyValueHeads, valueDim])
    const hasRoom = Number.isInteger(length) && length >= 0 && length < capacity
    checkArgument('attendEach', 'length', length, hasRoom, `a whole number below ${capacity}`, 'Make the cache larger.')
  }
  const backend = inPlaceBackend()
  if (!backend || isRecording()) return tf.tidy(() => oneByOne(q, k, v, sequences, options))
  const { slidingWindow = 0, scale = 1 / Math.sqrt(headDim), softcap = 0 } = options
  const out = backend.output([count, 1, numHeads, valueDim])
  const [queries, newKeys, newValues, output] = [q, k, v, out].map(backend.address) as [number, number, number, number]
  const rows = sequences.flatMap(({ keys, values, length }) => [
    ...[addressToWrite(backend, keys), addressToWrite(backend, values)],
    ...[keys.shape[1]!, length],
  ])
  withTable(backend, rows, table =>
    withWorkspace(backend, count * numHeads * (valueDim + 2), partial => {
      const tensors = [table, count, queries, newKeys, newValues, output, partial] as const
      const sizes = [numHeads, numKeyValueHeads, headDim, valueDim] as const
      backend.library.kernels.attentionEach(...tensors, ...sizes, slidingWindow, scale, softcap)
    }),
  )
  return tf.engine().makeTensorFromTensorInfo(out)
}

/** The same by `attention`. */
function oneByOne(
  q: tf.Tensor,
  k: tf.Tensor,
  v: tf.Tensor,
  sequences: readonly CachedSequence[],
  options: Pick<AttentionOptions, 'scale' | 'softcap' | 'slidingWindow'>,
): tf.Tensor {
  const [queries, newKeys, newValues] = [q, k, v].map(x => tf.split(x, sequences.length)) as [
    tf.Tensor[],
    tf.Tensor[],
    tf.Tensor[],
  ]
  return tf.concat(
    sequences.map(({ keys, values, length }, i) => {
      writeRows(keys, newKeys[i]!, length)
      writeRows(values, newValues[i]!, length)
      return attention(queries[i]!, keys, values, { ...options, isCausal: true, keyLen: length + 1 })
    }),
  )
}
