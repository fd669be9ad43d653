import type { Recorder } from '@heed/layers'
import type { tf } from '@heed/tensor-backend'
import type { BaseModelOutput } from './model.ts'

interface LayerStates {
  /** What the last layer made. */
  last: tf.Tensor
  /** What went into the first layer and what each layer made, when they were to be kept. */
  hiddenStates?: tf.Tensor[]
}

/** Runs layers one after the other on x [batch, seqLen, hiddenSize]; states that are not kept are freed on the way. */
export function runLayers<Layer>(
  x: tf.Tensor,
  layers: readonly Layer[],
  run: (layer: Layer, x: tf.Tensor, i: number) => tf.Tensor,
  keepsStates = false,
): LayerStates {
  const hiddenStates = [x]
  let last = x
  for (const [i, layer] of layers.entries()) {
    const next = run(layer, last, i)
    if (keepsStates) hiddenStates.push(next)
    else last.dispose()
    last = next
  }
  return keepsStates ? { last, hiddenStates } : { last }
}

/** A bare model's output; its last state, after a final norm if there is one, ends the hidden states too, as in HF. */
export function stackOutput(
  lastHiddenState: tf.Tensor,
  { hiddenStates }: LayerStates,
  weights?: Recorder,
): BaseModelOutput {
  return {
    lastHiddenState,
    ...(hiddenStates && { hiddenStates: [...hiddenStates.slice(0, -1), lastHiddenState] }),
    ...(weights && { attentions: weights.take() }),
  }
}
