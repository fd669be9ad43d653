import type { BackendKernel, KernelBackend } from '../backends/kernel-backend.ts'
import { tf } from '../tf.ts'
import { checkDtype, checkFloats, checkIds, checkRank } from './checks.ts'
import { accumulating, differentiable, hasKernel, runKernel } from './fused.ts'
import { oneHot } from './one-hot.ts'

/**
 * y[..., :] = weight[ids[...], :].
 * ids: int32 of any shape, weight: [vocabSize, hiddenSize] -> [...ids.shape, hiddenSize]. Same as `torch.nn.Embedding`.
 * Throws HEED_SHAPE_MISMATCH, HEED_DTYPE_UNSUPPORTED, HEED_ID_OUT_OF_RANGE.
 */
export function embedding(ids: tf.Tensor, weight: tf.Tensor): tf.Tensor {
  checkDtype('embedding', 'ids', ids, 'int32')
  checkRank('embedding', 'weight', weight, 2, '[vocabSize, hiddenSize]')
  checkFloats('embedding', { weight })
  const vocabSize = weight.shape[0]!
  checkIds('embedding', 'ids', ids, 'vocabSize', vocabSize)
  if (!hasKernel('HeedEmbedding')) return composedEmbedding(ids, weight)
  return differentiable(
    [weight],
    save => {
      save([ids])
      return runKernel('HeedEmbedding', [ids, weight])[0]!
    },
    (dy, saved) => [
      accumulating(
        () => runKernel('HeedEmbeddingGradient', [dy, ...saved], { vocabSize })[0]!,
        // Few of the rows change: a tied weight needs no second matrix of them.
        sum => void runKernel('HeedEmbeddingAccumulate', [sum, dy, ...saved]),
      ),
    ],
  )
}

/** `embedding` from tfjs's own ops; the gradient is a product with one-hot rows, which every backend serves. */
export function composedEmbedding(ids: tf.Tensor, weight: tf.Tensor): tf.Tensor {
  const [vocabSize, hiddenSize] = weight.shape as [number, number]
  return differentiable(
    [weight],
    save => {
      save([ids])
      return tf.gather(weight, ids)
    },
    (dy, [saved]) => [
      () =>
        tf.tidy(() => {
          const rows = oneHot(saved!, vocabSize)
          return tf.matMul(rows, dy.reshape<tf.Tensor2D>([-1, hiddenSize]), true, false)
        }),
    ],
  )
}

function addRows(
  { address, library }: KernelBackend,
  dweight: tf.TensorInfo,
  dy: tf.TensorInfo,
  ids: tf.TensorInfo,
  isAccumulated: number,
): void {
  const [vocabSize, hiddenSize] = dweight.shape as [number, number]
  const count = tf.util.sizeFromShape(ids.shape)
  const addresses = [address(ids), address(dy), address(dweight)] as const
  library.kernels.embeddingGradient(...addresses, count, vocabSize, hiddenSize, isAccumulated)
}

export const embeddingKernels: Record<string, BackendKernel> = {
  /** [ids, weight] -> y */
  HeedEmbedding(backend, [ids, weight]: [tf.TensorInfo, tf.TensorInfo]) {
    const { address, library } = backend
    const hiddenSize = weight.shape[1]!
    const y = backend.output([...ids.shape, hiddenSize])
    const count = tf.util.sizeFromShape(ids.shape)
    library.kernels.embedding(address(ids), address(weight), address(y), count, hiddenSize)
    return y
  },

  /** [dy, ids] -> dweight */
  HeedEmbeddingGradient(backend, [dy, ids]: [tf.TensorInfo, tf.TensorInfo], { vocabSize }: { vocabSize: number }) {
    const dweight = backend.output([vocabSize, dy.shape.at(-1)!])
    addRows(backend, dweight, dy, ids, 0)
    return dweight
  },

  /** [sum, dy, ids] -> [], sum += dweight */
  HeedEmbeddingAccumulate(backend, [sum, dy, ids]: [tf.TensorInfo, tf.TensorInfo, tf.TensorInfo]) {
    addRows(backend, sum, dy, ids, 1)
    return []
  },
}
