import { HeedError, tf } from '@heed/tensor-backend'
import { loadWeights } from './checkpoint.ts'
import type { TrainableModel } from './model.ts'

/**
 * Puts the mean of several checkpoints' weights into the model: often better than any one of them (Vaswani et al. 2017,
 * section 6.1). Throws HEED_ARGUMENT_INVALID without a checkpoint, and as `loadWeights`.
 */
export async function averageCheckpoints(folders: readonly string[], model: TrainableModel): Promise<void> {
  if (folders.length === 0) {
    throw new HeedError('HEED_ARGUMENT_INVALID', 'averageCheckpoints: folders is [], expected at least one checkpoint.')
  }
  const parameters = Array.from(model.namedParameters(), ([, value]) => value)
  const sums: tf.Tensor[] = parameters.map(parameter => tf.zerosLike(parameter))
  for (const folder of folders) {
    await loadWeights(folder, model)
    for (const [i, parameter] of parameters.entries()) {
      const sum = tf.add(sums[i]!, parameter)
      sums[i]!.dispose()
      sums[i] = sum
    }
  }
  for (const [i, parameter] of parameters.entries()) {
    tf.tidy(() => parameter.assign(tf.div(sums[i]!, folders.length)))
  }
  tf.dispose(sums)
}
