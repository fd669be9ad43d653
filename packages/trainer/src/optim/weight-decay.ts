import type { tf } from '@heed/tensor-backend'

const withoutDecay = [/bias/, /layernorm/, /rmsnorm/, /(?:^|\.)norm(?:$|\.)/, /_norm(?:$|\.)/]

/**
 * Whether a parameter decays: matrices and tables do, norms and biases (all that have one axis) do not.
 * The rule of HF's `Trainer.get_decay_parameter_names`, which goes by name, and of those 1-D weights it has no pattern for.
 */
export function hasWeightDecay(name: string, value: tf.Tensor): boolean {
  return value.rank > 1 && !withoutDecay.some(pattern => pattern.test(name.toLowerCase()))
}
