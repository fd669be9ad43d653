import { Dropout, Module } from '@heed/layers'
import { HeedError, isRecording, recomputed, tf } from '@heed/tensor-backend'
import type { TrainableModel } from './model.ts'

type Layer = Module & { forward(...inputs: unknown[]): tf.Tensor }

/** `model.layers.0`, `transformer.h.11`. */
const layerPath = /(?:^|\.)\d+$/

/**
 * While a model trains, its numbered layers keep their inputs only, and compute what is between again when gradients pass:
 * HF's `gradient_checkpointing`, Chen et al. 2016 (arXiv:1604.06174). Dropout takes the same masks both times.
 */
export class GradientCheckpointing {
  readonly #undo: Array<() => void> = []
  /** Inputs of layers, kept until the gradients are there. */
  #kept: tf.Tensor[] = []

  /** Throws HEED_CONFIG_INVALID when the model has no numbered layers. */
  constructor(model: TrainableModel) {
    const modules = model instanceof Module ? [...model.namedModules()] : []
    const paths: string[] = []
    for (const [path, module] of modules) {
      const isInside = paths.some(outer => path.startsWith(`${outer}.`))
      if (isInside || !layerPath.test(path) || !('forward' in module)) continue
      paths.push(path)
      this.#wrap(module as Layer, modules, model, path)
    }
    if (paths.length > 0) return
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      'TrainingArguments: gradientCheckpointing is true, expected false for a model without numbered layers such as layers.0. ' +
        'Its layers must be modules, each with a number as its name.',
    )
  }

  #wrap(layer: Layer, modules: Array<[string, Module]>, model: TrainableModel, path: string): void {
    const isOfLayer = (name: string): boolean => name.startsWith(`${path}.`)
    const dropouts = modules.flatMap(([name, part]) => (isOfLayer(name) && part instanceof Dropout ? [part] : []))
    const named = [...model.namedParameters()].flatMap(([name, value]) => (isOfLayer(name) ? [value] : []))
    const parameters = new Set<tf.Variable>([...named, ...layer.parameters()])
    const own = Object.hasOwn(layer, 'forward')
    const before = layer.forward
    layer.forward = (...inputs) => {
      if (!isRecording()) return before.apply(layer, inputs)
      // Copies, which share their memory, since whoever calls a layer may dispose of what went in.
      const held = inputs.map(input => (input instanceof tf.Tensor ? tf.clone(input) : input))
      const tensors = new Set<tf.Tensor>()
      findTensors(held, tensors)
      this.#keep(tensors)
      const states = dropouts.map(dropout => dropout.save())
      const run = (): tf.Tensor => {
        for (const [i, dropout] of dropouts.entries()) dropout.restore(states[i]!)
        return before.apply(layer, held)
      }
      const trainable = [...parameters].filter(parameter => parameter.trainable)
      return recomputed(run, [...[...tensors].filter(({ dtype }) => dtype === 'float32'), ...trainable])
    }
    this.#undo.push(() => {
      if (own) layer.forward = before
      else Reflect.deleteProperty(layer, 'forward')
    })
  }

  #keep(tensors: Iterable<tf.Tensor>): void {
    for (const tensor of tensors) {
      if (tensor.kept) continue
      this.#kept.push(tf.keep(tensor))
    }
  }

  /** To be called when the gradients of a batch have been computed. */
  release(): void {
    tf.dispose(this.#kept)
    this.#kept = []
  }

  /** Gives the layers their own forward passes back. */
  dispose(): void {
    this.release()
    for (const undo of this.#undo.splice(0)) undo()
  }
}

/** The tensors in arguments of a layer, also inside objects such as masks and angles; parameters of modules are none. */
function findTensors(value: unknown, found: Set<tf.Tensor>, depth = 0): void {
  if (value instanceof tf.Tensor) {
    if (!(value instanceof tf.Variable)) found.add(value)
  } else if (typeof value === 'object' && value !== null && !(value instanceof Module) && depth < 4) {
    for (const part of Object.values(value)) findTensors(part, found, depth + 1)
  }
}
