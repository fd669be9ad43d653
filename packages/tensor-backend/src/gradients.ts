import { tf } from './tf.ts'

/** The value of a scalar function and its gradient for each variable it depends on. */
export interface VariableGradients {
  value: tf.Scalar
  gradients: Map<tf.Variable, tf.Tensor>
}

/**
 * f() and ∂f/∂v for each of `variables` that f depends on; the others have no entry. Same numbers as `tf.variableGrads`.
 * The caller disposes of the value and the gradients.
 */
export function variableGradients(f: () => tf.Scalar, variables: tf.Variable[]): VariableGradients {
  const { value, grads } = tf.variableGrads(f, variables)
  const gradients = new Map<tf.Variable, tf.Tensor>()
  for (const variable of variables) {
    const gradient = grads[variable.name]
    if (gradient) gradients.set(variable, gradient)
  }
  return { value, gradients }
}
