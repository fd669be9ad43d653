import { tf } from '../tf.ts'

/** The attributes of a fused kernel: plain values only. */
export type Attributes = Record<string, number | boolean | string | number[] | undefined>

/** Whether the active backend has its own kernel of this name; without one an op runs its composed form. */
export function hasKernel(kernelName: string): boolean {
  return tf.getKernel(kernelName, tf.getBackend()) !== undefined
}

/** Whether a gradient is being recorded, so that a kernel must also return what its gradient reads. */
export function isRecording(): boolean {
  return tf.engine().state.gradientDepth > 0
}

/** Runs a registered kernel on a list of tensors (a list, so that trailing inputs can be left out). */
export function runKernel(kernelName: string, inputs: tf.Tensor[], attributes: Attributes = {}): tf.Tensor[] {
  const outputs: tf.Tensor | tf.Tensor[] = tf
    .engine()
    .runKernel(kernelName, inputs as unknown as tf.NamedTensorMap, attributes as unknown as tf.NamedAttrMap)
  return Array.isArray(outputs) ? outputs : [outputs]
}

/**
 * The gradient of one input, computed only when asked for: a frozen weight costs nothing. With `addTo` it can also be
 * added to a sum of gradients where that lies, without being made.
 */
export type InputGradient = (() => tf.Tensor) & { addTo?(sum: tf.Tensor): void }

/** The gradients of the inputs, in their order. */
type Backward = (dy: tf.Tensor, saved: tf.Tensor[]) => InputGradient[]

/** A gradient that can be added to a sum where it lies. */
export function accumulating(compute: () => tf.Tensor, addTo: (sum: tf.Tensor) => void): InputGradient {
  return Object.assign(() => compute(), { addTo })
}

interface EngineWithGradients {
  runKernelFunc(call: {
    forwardFunc: (backend: unknown, save: (tensors: tf.Tensor[]) => void) => tf.Tensor
    backwardsFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => Record<string, InputGradient>
    inputs: Record<string, tf.Tensor>
  }): tf.Tensor
}

/**
 * Runs `forward` and, when a gradient is being recorded, puts `backward` on the tape with what `forward` saved.
 * The lazy form of `tf.customGrad`, which computes the gradient of every input whether it is wanted or not.
 */
export function differentiable(
  inputs: tf.Tensor[],
  forward: (save: (tensors: tf.Tensor[]) => void) => tf.Tensor,
  backward: Backward,
): tf.Tensor {
  if (!isRecording()) return tf.tidy(() => forward(() => {}))
  return (tf.engine() as unknown as EngineWithGradients).runKernelFunc({
    forwardFunc: (_backend, save) => forward(save),
    backwardsFunc: (dy, saved) => Object.fromEntries(backward(dy, saved).entries()),
    inputs: Object.fromEntries(inputs.entries()),
  })
}

/**
 * Computes once, on the first call, what the gradients of several inputs share; to be called inside a `Backward`.
 * `tf.grads` runs the gradient of each input in a `tidy` of its own, which would dispose of the siblings: they are handed
 * to the scope the `Backward` was called in, which disposes of those that nobody returns.
 */
export function once(compute: () => tf.Tensor[]): () => tf.Tensor[] {
  const scope = tf.engine().state.activeScope
  let shared: tf.Tensor[] | undefined
  return () => {
    if (shared) return shared
    shared = compute()
    const inner = tf.engine().state.activeScope
    if (inner !== scope) {
      inner.track = inner.track.filter(tensor => !shared!.includes(tensor))
      for (const tensor of shared) tensor.scopeId = scope.id
      scope.track.push(...shared)
    }
    return shared
  }
}

/** The rows and the length of each, when a tensor is seen as rows of its last axis. */
export function rowsAndCols({ shape }: tf.TensorInfo): [rows: number, cols: number] {
  const cols = shape.at(-1) ?? 1
  return [shape.slice(0, -1).reduce((product, size) => product * size, 1), cols]
}
