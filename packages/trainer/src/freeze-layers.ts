import type { Module } from '@heed/layers'
import { HeedError } from '@heed/tensor-backend'

/** The number of the layer in a key such as `model.layers.3.mlp.up_proj.weight`. */
const layerNumber = /(?:^|\.)(\d+)\./

/**
 * Keeps the embeddings and the first `count` layers of a model as they are; what comes after goes on learning. A head that
 * shares its weight with the embeddings stays as it is too. Throws HEED_CONFIG_INVALID when the model has fewer layers.
 */
export function freezeLayers(model: Module, count: number): void {
  const parameters = Array.from(model.namedParameters(), ([key, parameter]) => {
    const layer = layerNumber.exec(key)?.[1]
    return { parameter, layer: layer === undefined ? undefined : Number(layer) }
  })
  const layers = new Set(parameters.flatMap(({ layer }) => (layer === undefined ? [] : [layer])))
  if (!Number.isSafeInteger(count) || count < 1 || count > layers.size) {
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      `freezeLayers: count is ${count}, expected an integer from 1 to the ${layers.size} layers of the model.`,
    )
  }
  const first = parameters.findIndex(({ layer }) => layer !== undefined)
  for (const [i, { parameter, layer }] of parameters.entries()) {
    if (i < first || (layer !== undefined && layer < count)) parameter.trainable = false
  }
}
