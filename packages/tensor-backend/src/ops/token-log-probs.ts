import type { BackendKernel } from '../backends/kernel-backend.ts'
import { tf } from '../tf.ts'
import { checkDtype, checkFloats, checkIds, checkShape } from './checks.ts'
import { differentiable, hasKernel, rowsAndCols, runKernel } from './fused.ts'
import { oneHot } from './one-hot.ts'

/**
 * log softmax(logits)[id], in nats, without the softmax of the other tokens in memory.
 * logits: [..., vocabSize], ids: int32 [...] -> [...]. Differentiable by logits.
 * Throws HEED_SHAPE_MISMATCH, HEED_DTYPE_UNSUPPORTED, HEED_ID_OUT_OF_RANGE.
 */
export function tokenLogProbs(logits: tf.Tensor, ids: tf.Tensor): tf.Tensor {
  checkFloats('tokenLogProbs', { logits })
  checkDtype('tokenLogProbs', 'ids', ids, 'int32')
  checkShape('tokenLogProbs', 'ids', ids, logits.shape.slice(0, -1))
  checkIds('tokenLogProbs', 'ids', ids, 'vocabSize', logits.shape.at(-1)!)
  if (!hasKernel('HeedTokenLogProbs')) return composedTokenLogProbs(logits, ids)
  return differentiable(
    [logits],
    save => {
      const [y, lse] = runKernel('HeedTokenLogProbs', [logits, ids]) as [tf.Tensor, tf.Tensor]
      save([logits, ids, lse])
      return y
    },
    (dy, saved) => [() => runKernel('HeedTokenLogProbsGradient', [dy, ...saved])[0]!],
  )
}

/** `tokenLogProbs` from tfjs's own ops. */
export function composedTokenLogProbs(logits: tf.Tensor, ids: tf.Tensor): tf.Tensor {
  const vocabSize = logits.shape.at(-1)!
  return tf.tidy(() => {
    const logProbs = tf.logSoftmax(logits.reshape([-1, vocabSize]))
    return tf.sum(tf.mul(logProbs, oneHot(ids, vocabSize)), -1).reshape(ids.shape)
  })
}

export const tokenLogProbsKernels: Record<string, BackendKernel> = {
  /** [logits, ids] -> [y, lse]; lse: [rows], log Σ e^logit. */
  HeedTokenLogProbs(backend, [logits, ids]: [tf.TensorInfo, tf.TensorInfo]) {
    const { address, library } = backend
    const [rows, cols] = rowsAndCols(logits)
    const [y, lse] = [backend.output(ids.shape), backend.output([rows])]
    library.kernels.tokenLogProbs(address(logits), address(ids), address(y), address(lse), rows, cols)
    return [y, lse]
  },

  /** [dy, logits, ids, lse] -> dlogits */
  HeedTokenLogProbsGradient(backend, inputs: tf.TensorInfo[]) {
    const logits = inputs[1]!
    const dlogits = backend.output(logits.shape)
    const from = inputs.map(backend.address) as [number, number, number, number]
    backend.library.kernels.tokenLogProbsGradient(...from, backend.address(dlogits), ...rowsAndCols(logits))
    return dlogits
  },
}
