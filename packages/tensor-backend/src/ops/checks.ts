import { HeedError } from '../errors.ts'
import { shown } from '../files/strict-json.ts'
import { tf } from '../tf.ts'

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

/** Throws HEED_DTYPE_UNSUPPORTED unless `tensor` has this dtype, HEED_DISPOSED when it is gone. */
export function checkDtype(op: string, name: string, tensor: tf.Tensor, dtype: tf.DataType): void {
  if (tensor.isDisposed) {
    throw new HeedError(
      'HEED_DISPOSED',
      `${op}: ${name} was disposed of, expected a tensor in use. Dispose of tensors and models when they are no more needed; ` +
        'tf.keep takes a tensor out of a tf.tidy.',
    )
  }
  if (tensor.dtype === dtype) return
  throw new HeedError(
    'HEED_DTYPE_UNSUPPORTED',
    `${op}: ${name} has dtype ${tensor.dtype}, expected ${dtype}. Convert it with ${name}.cast('${dtype}').`,
  )
}

/** Throws HEED_DTYPE_UNSUPPORTED unless each of the tensors is float32. */
export function checkFloats(op: string, tensors: Record<string, tf.Tensor>): void {
  for (const name in tensors) checkDtype(op, name, tensors[name]!, 'float32')
}

/** Throws HEED_ARGUMENT_INVALID unless `isValid`; `rule` says what is expected, `mend` what to do. */
export function checkArgument(
  op: string,
  name: string,
  value: unknown,
  isValid: boolean,
  rule: string,
  mend: string,
): void {
  if (isValid) return
  throw new HeedError('HEED_ARGUMENT_INVALID', `${op}: ${name} is ${shown(value)}, expected ${rule}. ${mend}`)
}

/** Throws HEED_ARGUMENT_INVALID unless `eps` of a norm is a number. */
export function checkEps(op: string, eps: unknown): void {
  checkArgument(
    op,
    'eps',
    eps,
    typeof eps === 'number' && eps >= 0,
    'a number of at least 0',
    'Often it is 1e-5 or 1e-6.',
  )
}

/** The values of ids, when they can be had at once: on WebGPU only those that are not on the device yet, or were read. */
function valuesAtHand(ids: tf.Tensor): Int32Array | undefined {
  if (tf.getBackend() !== 'webgpu') return ids.dataSync<'int32'>()
  const { tensorMap } = tf.backend() as unknown as { tensorMap: tf.DataStorage<{ values?: Int32Array | null }> }
  return tensorMap.has(ids.dataId) ? (tensorMap.get(ids.dataId).values ?? undefined) : undefined
}

/**
 * Throws HEED_ID_OUT_OF_RANGE unless each of `ids` lies in [0, size) or is `ignored`. Where reading a tensor would stall
 * the device (WebGPU) nothing is read: there an id outside the table gives zeros.
 */
export function checkIds(
  op: string,
  name: string,
  ids: tf.Tensor,
  sizeName: string,
  size: number,
  ignored?: number,
): void {
  const values = valuesAtHand(ids)
  if (!values) return
  for (let i = 0; i < values.length; i++) {
    const id = values[i]!
    if ((id >= 0 && id < size) || id === ignored) continue
    throw new HeedError(
      'HEED_ID_OUT_OF_RANGE',
      `${op}: ${name}[${i}] is ${id}, expected 0 to ${size - 1} (${sizeName} is ${size})${ignored === undefined ? '' : ` or ${ignored}, which is ignored`}. ` +
        `Check that the tokenizer and the model belong together.`,
    )
  }
}
