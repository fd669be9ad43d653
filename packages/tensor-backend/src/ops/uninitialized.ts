import { KernelBackend, type NumericDtype } from '../backends/kernel-backend.ts'
import { tf } from '../tf.ts'

/** A tensor to be written before it is read: on the native and wasm backends its content is undefined, elsewhere it is zeros. */
export function uninitialized(shape: number[], dtype: NumericDtype = 'float32'): tf.Tensor {
  const backend = tf.backend()
  if (!(backend instanceof KernelBackend)) return tf.zeros(shape, dtype)
  return tf.engine().makeTensorFromTensorInfo(backend.output(shape, dtype))
}
