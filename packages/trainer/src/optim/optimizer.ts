import type { tf } from '@heed/tensor-backend'

/** A gradient for each parameter that has one in this step, by the parameter's name. */
export type Gradients = ReadonlyMap<string, tf.Tensor>

export interface OptimizerStep {
  learningRate: number
  /** Gradients are scaled by min(1, maxNorm / (norm + 1e-6)) on the way in. */
  clip?: { norm: tf.Scalar; maxNorm: number }
}

/** Changes parameters in place by their gradients, and keeps state that a checkpoint can hold. */
export interface Optimizer {
  /** Steps done. */
  readonly stepCount: number
  step(gradients: Gradients, options: OptimizerStep): void
  /** The live state tensors by name; the optimizer goes on owning them. */
  stateDict(): Map<string, tf.Tensor>
  /** Copies a state that `stateDict` gave at that step. Throws HEED_STATE_DICT_MISMATCH. */
  loadStateDict(state: ReadonlyMap<string, tf.Tensor>, stepCount: number): void
  dispose(): void
}

/** A trainable variable with its name in the checkpoint. */
export type NamedParameter = [name: string, value: tf.Variable]
