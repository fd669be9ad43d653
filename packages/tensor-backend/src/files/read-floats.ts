import { inPlaceBackend } from '../ops/in-place.ts'
import { tf } from '../tf.ts'
import { type ByteSource, checkRange } from './byte-source.ts'
import { tensorFromRaw } from './dtypes.ts'

/**
 * The float32 tensor whose bytes lie in a file from `offset` on; the native backend reads them to where the tensor lies, by all
 * threads. The caller disposes of it. Throws HEED_FILE_INVALID beyond the end, HEED_IO.
 */
export async function readFloats(source: ByteSource, offset: number, shape: readonly number[]): Promise<tf.Tensor> {
  const byteLength = 4 * tf.util.sizeFromShape([...shape])
  const backend = inPlaceBackend()
  if (source.fd !== undefined && backend?.library.readBytes && byteLength > 0) {
    checkRange(source, offset, byteLength)
    const tensor = tf.engine().makeTensorFromTensorInfo(backend.output([...shape]))
    if (backend.library.readBytes(source.fd, offset, backend.address(tensor), byteLength)) return tensor
    tensor.dispose() // the reading below says what is wrong
  }
  const bytes = await source.read(offset, byteLength)
  return tensorFromRaw({ dtype: 'F32', shape, bytes }, source.name)
}
