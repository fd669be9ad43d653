import { KernelBackend } from '../backends/kernel-backend.ts'
import { tf } from '../tf.ts'

/** The active backend, when its kernels can write where a tensor lies. */
export function inPlaceBackend(): KernelBackend | undefined {
  const backend = tf.backend()
  return backend instanceof KernelBackend ? backend : undefined
}

/**
 * The address of a variable's values, for a kernel that changes them where they lie. Values that another tensor shares
 * (a clone, or what the variable was made from) are copied first, so that only the variable changes.
 */
export function addressToWrite(backend: KernelBackend, variable: tf.Variable): number {
  const address = backend.address(variable) // also moves the values here from another backend
  if (backend.refCount(variable.dataId) === 1) return address
  tf.tidy(() => variable.assign(tf.mul(variable, 1)))
  return backend.address(variable)
}
