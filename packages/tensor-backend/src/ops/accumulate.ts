import { tf } from '../tf.ts'
import { checkFloats, checkShape } from './checks.ts'
import { hasKernel, runKernel } from './fused.ts'
import { inPlaceBackend } from './in-place.ts'

/**
 * sum + term, two tensors of one shape that the caller owns and gives up: written over one of them where the backend can
 * and no other tensor shares its memory, so that a sum of gradients takes no more memory than its first term.
 * Not differentiable. Throws HEED_SHAPE_MISMATCH, HEED_DTYPE_UNSUPPORTED.
 */
export function accumulate<T extends tf.Tensor>(sum: T, term: T): T {
  checkShape('accumulate', 'term', term, sum.shape)
  checkFloats('accumulate', { sum, term })
  if (inPlaceBackend() || hasKernel('HeedAccumulate')) {
    if (isOwn(sum)) return addInto(sum, term)
    if (isOwn(term)) return addInto(term, sum)
  }
  const total = tf.add(sum, term) as T
  tf.dispose([sum, term])
  return total
}

/** Whether no other tensor shares the memory of this one, so that it may change where it lies. */
export function isOwn({ dataId }: tf.Tensor): boolean {
  return tf.backend().refCount(dataId) === 1
}

function addInto<T extends tf.Tensor>(sum: T, term: T): T {
  const backend = inPlaceBackend()
  if (backend) backend.library.kernels.accumulate(backend.address(sum), backend.address(term), sum.size)
  else runKernel('HeedAccumulate', [sum, term])
  term.dispose()
  return sum
}
