import { KernelBackend, type NumericDtype } from '../backends/kernel-backend.ts'
import { tf } from '../tf.ts'

/**
 * Zeros that, on the native and wasm backends, take no memory before something reads or writes them: what the
 * parameters of a model are until a checkpoint fills them.
 */
export function lazyZeros(shape: number[], dtype: NumericDtype = 'float32'): tf.Tensor {
  const backend = tf.backend()
  if (!(backend instanceof KernelBackend)) return tf.zeros(shape, dtype)
  return tf.engine().makeTensorFromTensorInfo(backend.lazyZeros(shape, dtype))
}
