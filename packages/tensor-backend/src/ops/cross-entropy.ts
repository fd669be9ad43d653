import type { BackendKernel } from '../backends/kernel-backend.ts'
import { checkOptionNames } from '../option-names.ts'
import { tf } from '../tf.ts'
import { checkArgument, checkDtype, checkFloats, checkIds, checkShape } from './checks.ts'
import { differentiable, hasKernel, rowsAndCols, runKernel } from './fused.ts'
import { oneHot } from './one-hot.ts'
import { withWorkspace } from './workspace.ts'

export interface CrossEntropyOptions {
  /** Labels of this value neither count nor get a gradient; -100 as in PyTorch and HF. */
  ignoreIndex?: number
  /** Weight of the uniform distribution in the target, 0 to 1. Szegedy et al. 2015 (arXiv:1512.00567). */
  labelSmoothing?: number
  /** `mean` over the labels that count, or their `sum`. */
  reduction?: 'mean' | 'sum'
}

const optionNames: readonly (keyof CrossEntropyOptions)[] = ['ignoreIndex', 'labelSmoothing', 'reduction']

/**
 * -log softmax(logits)[label], averaged over the labels that are not `ignoreIndex`, in nats.
 * logits: [..., vocabSize], labels: int32 [...] -> scalar; 0 when every label is ignored.
 * Same numbers as `torch.nn.functional.cross_entropy`. Throws HEED_SHAPE_MISMATCH, HEED_DTYPE_UNSUPPORTED,
 * HEED_ID_OUT_OF_RANGE, HEED_ARGUMENT_INVALID.
 */
export function crossEntropy(logits: tf.Tensor, labels: tf.Tensor, given: CrossEntropyOptions = {}): tf.Scalar {
  checkOptionNames('crossEntropy', given, optionNames)
  const { ignoreIndex = -100, labelSmoothing = 0, reduction = 'mean' } = given
  checkDtype('crossEntropy', 'labels', labels, 'int32')
  checkShape('crossEntropy', 'labels', labels, logits.shape.slice(0, -1))
  checkFloats('crossEntropy', { logits })
  const isShare = labelSmoothing >= 0 && labelSmoothing <= 1
  checkArgument('crossEntropy', 'labelSmoothing', labelSmoothing, isShare, '0 to 1', 'Leave it out for none.')
  checkIds('crossEntropy', 'labels', labels, 'vocabSize', logits.shape.at(-1)!, ignoreIndex)
  const options = { ignoreIndex, labelSmoothing, reduction }
  if (!hasKernel('HeedCrossEntropy')) return composedCrossEntropy(logits, labels, options)
  return differentiable(
    [logits],
    save => {
      const [loss, ...kept] = runKernel('HeedCrossEntropy', [logits, labels], options)
      save([logits, labels, ...kept])
      return loss!
    },
    (dy, saved) => [() => runKernel('HeedCrossEntropyGradient', [dy, ...saved], options)[0]!],
  ) as tf.Scalar
}

/** `crossEntropy` from tfjs's own ops. */
export function composedCrossEntropy(
  logits: tf.Tensor,
  labels: tf.Tensor,
  { ignoreIndex, labelSmoothing, reduction }: Required<CrossEntropyOptions>,
): tf.Scalar {
  const vocabSize = logits.shape.at(-1)!
  return tf.tidy(() => {
    const rows = logits.reshape([-1, vocabSize])
    const flat = labels.flatten()
    const counts = tf.notEqual(flat, ignoreIndex).toFloat() // [rows]
    const logProbs = tf.logSoftmax(rows)
    const target = tf.add(tf.mul(oneHot(flat, vocabSize), 1 - labelSmoothing), labelSmoothing / vocabSize)
    const total = tf.sum(tf.mul(tf.neg(tf.sum(tf.mul(logProbs, target), -1)), counts))
    return (reduction === 'sum' ? total : tf.div(total, tf.maximum(tf.sum(counts), 1))) as tf.Scalar
  })
}

export const crossEntropyKernels: Record<string, BackendKernel> = {
  /** [logits, labels] -> [loss, lse, weight]; lse: [rows], log Σ e^logit; weight: [], what each row's loss is multiplied by. */
  HeedCrossEntropy(
    backend,
    [logits, labels]: [tf.TensorInfo, tf.TensorInfo],
    { ignoreIndex, labelSmoothing, reduction }: Required<CrossEntropyOptions>,
  ) {
    const { address, library } = backend
    const [rows, cols] = rowsAndCols(logits)
    const [loss, lse, weight] = [backend.output([]), backend.output([rows]), backend.output([])]
    withWorkspace(backend, rows, losses => {
      const tensors = [address(logits), address(labels), address(loss), address(lse), address(weight), losses] as const
      const isMean = reduction === 'mean' ? 1 : 0
      library.kernels.crossEntropy(...tensors, rows, cols, ignoreIndex, labelSmoothing, isMean)
    })
    return [loss, lse, weight]
  },

  /** [dloss, logits, labels, lse, weight] -> dlogits */
  HeedCrossEntropyGradient(
    backend,
    inputs: tf.TensorInfo[],
    { ignoreIndex, labelSmoothing }: Required<CrossEntropyOptions>,
  ) {
    const [rows, cols] = rowsAndCols(inputs[1]!)
    const dlogits = backend.output(inputs[1]!.shape)
    const from = inputs.map(backend.address) as [number, number, number, number, number]
    const sizes = [rows, cols, ignoreIndex, labelSmoothing] as const
    backend.library.kernels.crossEntropyGradient(...from, backend.address(dlogits), ...sizes)
    return dlogits
  },
}
