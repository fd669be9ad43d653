import { inPlaceBackend } from '../ops/in-place.ts'
import { tf } from '../tf.ts'
import { type ByteSource, checkRange } from './byte-source.ts'
import { tensorFromRaw } from './dtypes.ts'

/** Floats of a file that become float32 on the way; numbered as in kernels/node.cc. */
const kinds = { F32: 0, F16: 1, BF16: 2 } as const

export type ReadableFloat = keyof typeof kinds

export function isReadableFloat(dtype: string): dtype is ReadableFloat {
  return Object.hasOwn(kinds, dtype)
}

/**
 * The float32 tensor of the values that lie in a file from `offset` on; the native backend reads them to where the tensor lies,
 * by all threads. The caller disposes of it. Throws HEED_FILE_INVALID beyond the end, HEED_IO.
 */
export async function readFloats(
  source: ByteSource,
  { dtype, shape, byteOffset }: { dtype: ReadableFloat; shape: readonly number[]; byteOffset: number },
): Promise<tf.Tensor> {
  const count = tf.util.sizeFromShape([...shape])
  const byteLength = count * (dtype === 'F32' ? 4 : 2)
  const backend = inPlaceBackend()
  if (source.fd !== undefined && backend?.library.readFloats && count > 0) {
    checkRange(source, byteOffset, byteLength)
    const tensor = tf.engine().makeTensorFromTensorInfo(backend.output([...shape]))
    if (backend.library.readFloats(source.fd, byteOffset, backend.address(tensor), count, kinds[dtype])) return tensor
    tensor.dispose() // the reading below says what is wrong
  }
  const bytes = await source.read(byteOffset, byteLength)
  return tensorFromRaw({ dtype, shape, bytes }, source.name)
}
