import { HeedError, tf } from '@heed/tensor-backend'
import { loadWeights } from './checkpoint.ts'
import type { TrainableModel } from './model.ts'

/**
 * Puts the mean of several checkpoints' weights into the model: often better than any one of them (Vaswani et al. 2017,
 * section 6.1). Throws HEED_ARGUMENT_INVALID without a checkpoint, and as `loadWeights`; the model is then as it was.
 */
export async function averageCheckpoints(folders: readonly string[], model: TrainableModel): Promise<void> {
  if (folders.length === 0) {
    throw new HeedError('HEED_ARGUMENT_INVALID', 'averageCheckpoints: folders is [], expected at least one checkpoint.')
  }
  const parameters = Array.from(model.namedParameters(), ([, value]) => value)
  const before = parameters.map(parameter => tf.tidy(() => tf.mul(parameter, 1)))
  const sums: tf.Tensor[] = parameters.map(parameter => tf.zerosLike(parameter))
  try {
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
  } catch (error) {
    for (const [i, parameter] of parameters.entries()) parameter.assign(before[i]!)
    throw error
  } finally {
    tf.dispose([...sums, ...before])
  }
}
