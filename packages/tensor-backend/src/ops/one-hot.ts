import { tf } from '../tf.ts'

/** float32 [ids.size, size], 1 where the column is the row's id; `tf.oneHot` refuses a size of 1. */
export function oneHot(ids: tf.Tensor, size: number): tf.Tensor2D {
  return tf.tidy(() => tf.equal(ids.reshape([-1, 1]), tf.range(0, size, 1, 'int32')).toFloat() as tf.Tensor2D)
}
