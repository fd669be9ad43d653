import { HeedError } from '../errors.ts'
import { tf } from '../tf.ts'
import { shown } from './strict-json.ts'

/** Bytes at hand, or fetched when their turn to be written comes. */
export type LazyBytes = Uint8Array | (() => Promise<Uint8Array>)

/** A tensor whose place in a file is known before its bytes are. */
export interface PlannedTensor<Kind> {
  readonly name: string
  readonly kind: Kind
  readonly shape: readonly number[]
  readonly byteLength: number
  /** Throws HEED_SHAPE_MISMATCH when the bytes do not fill the place. */
  bytes(): Promise<Uint8Array>
}

/** Plans a tensor; `where` begins its messages. */
export function planTensor<Kind>(
  where: string,
  { name, kind, shape, byteLength }: Omit<PlannedTensor<Kind>, 'bytes'>,
  content: LazyBytes,
): PlannedTensor<Kind> {
  const bytes = async () => {
    const data = typeof content === 'function' ? await content() : content
    if (data.byteLength === byteLength) return data
    throw new HeedError(
      'HEED_SHAPE_MISMATCH',
      `${where}: it has ${data.byteLength} bytes, expected ${byteLength} for ${kind} of shape ${shown(shape)}.`,
    )
  }
  return { name, kind, shape, byteLength, bytes }
}

/** Tells a tfjs tensor from raw bytes. Throws HEED_DISPOSED. */
export function isLiveTensor(where: string, tensor: object): tensor is tf.Tensor {
  if (!(tensor instanceof tf.Tensor)) return false
  if (tensor.isDisposed) throw new HeedError('HEED_DISPOSED', `${where}: the tensor was disposed.`)
  return true
}
