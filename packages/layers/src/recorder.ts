import { tf } from '@heed/tensor-backend'

/**
 * Collects tensors from inside the layers of a forward pass, past the `tf.tidy` of each layer: attention weights that a
 * caller asked to see.
 */
export class Recorder {
  #tensors: tf.Tensor[] = []

  record(tensor: tf.Tensor): void {
    this.#tensors.push(tf.keep(tensor))
  }

  /** Hands the tensors, in the order they came, to the scope it is called in, as if they were made there. */
  take(): tf.Tensor[] {
    const tensors = this.#tensors
    this.#tensors = []
    const scope = tf.engine().state.activeScope
    for (const tensor of tensors) {
      tensor.kept = false
      if (!scope) continue
      tensor.scopeId = scope.id
      scope.track.push(tensor)
    }
    return tensors
  }
}
