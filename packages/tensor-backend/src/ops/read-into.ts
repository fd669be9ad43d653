import { KernelBackend } from '../backends/kernel-backend.ts'
import { tf } from '../tf.ts'

/** Copies the values of a float32 tensor into an array of as many, so that what is read again and again leaves no garbage. */
export async function readInto(x: tf.Tensor, into: Float32Array): Promise<void> {
  const backend = tf.backend()
  if (backend instanceof KernelBackend && x.dtype === 'float32') backend.readInto(x, into)
  else into.set(await x.data())
}
