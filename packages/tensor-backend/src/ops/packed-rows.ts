import type { BackendKernel } from '../backends/kernel-backend.ts'
import { tf } from '../tf.ts'
import { type AttentionOptions, attention } from './attention.ts'
import { type AttentionAttributes, attentionAttributes, maxStepQueries, stepProblem } from './attention-kernels.ts'
import { checkArgument, checkDtype, checkFloats, checkRank, checkShape } from './checks.ts'
import { hasKernel, isRecording, runKernel } from './fused.ts'

/** How a key-value cache may hold numbers; kinds are numbered as in kernels/packed_rows.h. */
const packings = { float16: 0, q8_0: 1 } as const

/** 16-bit floats, or signed bytes with a 16-bit scale for every 32 of them. */
export type RowPacking = keyof typeof packings

/** Numbers of a block of q8_0, as in ggml. */
const BLOCK = 32

/** 32-bit words of a row of `dim` numbers. */
function wordsOf(packing: RowPacking, dim: number): number {
  return Math.ceil((packing === 'float16' ? 2 * dim : dim + 2 * Math.ceil(dim / BLOCK)) / 4)
}

/** Whether the active backend packs rows: native and wasm do. */
export function packsRows(): boolean {
  return hasKernel('HeedPackRows')
}

function checkPacking(op: string, packing: RowPacking): void {
  const rule = Object.keys(packings).join(' or ')
  checkArgument(op, 'packing', packing, Object.hasOwn(packings, packing), rule, 'Leave rows of float32 as they are.')
}

/**
 * Rows in few bits: x [batch, rows, numHeads, dim] -> int32 [batch, rows, numHeads, words]. `writeRows` takes such rows too. On
 * native and wasm alone (`packsRows`). Not differentiable. Throws HEED_SHAPE_MISMATCH, HEED_DTYPE_UNSUPPORTED, HEED_ARGUMENT_INVALID.
 */
export function packRows(x: tf.Tensor, packing: RowPacking): tf.Tensor {
  checkRank('packRows', 'x', x, 4, '[batch, rows, numHeads, dim]')
  checkFloats('packRows', { x })
  checkPacking('packRows', packing)
  return tf.tidy(() => runKernel('HeedPackRows', [x], { packing })[0]!)
}

/** The numbers of packed rows, [batch, rows, numHeads, dim]. Throws as `packRows`. */
export function unpackRows(packed: tf.Tensor, packing: RowPacking, dim: number): tf.Tensor {
  checkPacked('unpackRows', 'packed', packed, packing, dim)
  return tf.tidy(() => runKernel('HeedUnpackRows', [packed], { packing, dim })[0]!)
}

/**
 * `attention` over packed keys and values, [batch, capacity, numKeyValueHeads, words] of headDim numbers both. The next positions
 * of a text read them as they are; many queries, which read them again and again, unpack them first.
 * q: [batch, seqLen, numHeads, headDim] -> the same shape. Throws as `attention` and `packRows`.
 */
export function packedAttention(
  q: tf.Tensor,
  keys: tf.Tensor,
  values: tf.Tensor,
  packing: RowPacking,
  options: AttentionOptions & { keyLen: number },
): tf.Tensor {
  checkRank('packedAttention', 'q', q, 4, '[batch, seqLen, numHeads, headDim]')
  const [, seqLen, , headDim] = q.shape as [number, number, number, number]
  checkPacked('packedAttention', 'keys', keys, packing, headDim)
  checkShape('packedAttention', 'values', values, keys.shape)
  const { bias, keyPaddingMask, keyLen } = options
  if (seqLen > maxStepQueries || isRecording()) {
    return tf.tidy(() => {
      const [k, v] = [keys, values].map(packed => unpackRows(tf.slice(packed, [0, 0], [-1, keyLen]), packing, headDim))
      return attention(q, k!, v!, options)
    })
  }
  return tf.tidy(() => {
    const inputs = [q, keys, values, ...(bias ? [bias] : []), ...(keyPaddingMask ? [keyPaddingMask.toInt()] : [])]
    return runKernel('HeedPackedAttention', inputs, { ...attentionAttributes(q, keys, options), packing })[0]!
  })
}

function checkPacked(op: string, name: string, packed: tf.Tensor, packing: RowPacking, dim: number): void {
  checkPacking(op, packing)
  checkDtype(op, name, packed, 'int32')
  checkRank(op, name, packed, 4, '[batch, rows, numHeads, words]')
  const [batch, rows, numHeads] = packed.shape as [number, number, number]
  checkShape(op, name, packed, [batch, rows, numHeads, wordsOf(packing, dim)])
}

export const packedRowKernels: Record<string, BackendKernel> = {
  /** [x] -> words */
  HeedPackRows(backend, [x]: [tf.TensorInfo], { packing }: { packing: RowPacking }) {
    const dim = x.shape.at(-1)!
    const leading = x.shape.slice(0, -1)
    const packed = backend.output([...leading, wordsOf(packing, dim)], 'int32')
    const rows = tf.util.sizeFromShape(leading)
    backend.library.kernels.packRows(backend.address(x), backend.address(packed), packings[packing], rows, dim)
    return packed
  },

  /** [words] -> x */
  HeedUnpackRows(backend, [packed]: [tf.TensorInfo], { packing, dim }: { packing: RowPacking; dim: number }) {
    const leading = packed.shape.slice(0, -1)
    const x = backend.output([...leading, dim])
    const rows = tf.util.sizeFromShape(leading)
    backend.library.kernels.unpackRows(backend.address(packed), backend.address(x), packings[packing], rows, dim)
    return x
  },

  /** [q, keys, values, bias?, mask?] -> out */
  HeedPackedAttention(
    backend,
    inputs: tf.TensorInfo[],
    { packing, ...attributes }: AttentionAttributes & { packing: RowPacking },
  ) {
    const out = backend.output(inputs[0]!.shape)
    stepProblem(backend, inputs, attributes, out, (args, kernels) =>
      kernels.attentionStepPacked(...args, packings[packing]),
    )
    return out
  },
}
