import { KernelBackend } from '../backends/kernel-backend.ts'
import { tf } from '../tf.ts'
import { type Attributes, runKernel } from './fused.ts'

/** The active backend, when its kernels can write where a tensor lies. */
export function inPlaceBackend(): KernelBackend | undefined {
  const backend = tf.backend()
  return backend instanceof KernelBackend ? backend : undefined
}

/** Gives memory that tensors had, and that is kept for others, back to the system. */
export function trimMemory(): void {
  inPlaceBackend()?.library.trim?.()
}

/** `trimMemory` in two seconds, unless this is called again before: after work that may not come again soon. */
export function trimMemorySoon(): void {
  inPlaceBackend()?.library.trimSoon?.()
}

/**
 * The address of a variable's values, for a kernel that changes them where they lie. Values that another tensor shares
 * (a clone, or what the variable was made from) are copied first, so that only the variable changes.
 */
export function addressToWrite(backend: KernelBackend, variable: tf.Variable): number {
  const address = backend.address(variable) // also moves the values here from another backend
  return separate(variable) ? backend.address(variable) : address
}

/** Gives a variable values of its own, a copy, when another tensor shares them; whether there was need to. */
export function separate(variable: tf.Variable): boolean {
  if (tf.backend().refCount(variable.dataId) === 1) return false
  tf.tidy(() => variable.assign(tf.mul(variable, tf.scalar(1, variable.dtype))))
  return true
}

/** Runs a kernel that changes `variables`, its first inputs, where they lie; the active backend has it. */
export function runInPlace(
  kernelName: string,
  variables: tf.Variable[],
  others: tf.Tensor[],
  attributes: Attributes,
): void {
  for (const variable of variables) separate(variable)
  runKernel(kernelName, [...variables, ...others], attributes)
}
