import { Embedding } from './embedding.ts'
import { Linear } from './linear.ts'
import type { Module, Parameter } from './module.ts'

/** The layers that have each parameter as their weight, where all that have it can compute with it in few bits. */
export function quantizableLayers(module: Module): Map<Parameter, (Linear | Embedding)[]> {
  const layersOf = new Map<Parameter, (Linear | Embedding)[]>()
  for (const [, layer] of module.namedModules()) {
    if (!(layer instanceof Linear || layer instanceof Embedding) || layer.isQuantized) continue
    layersOf.set(layer.weight, [...(layersOf.get(layer.weight) ?? []), layer])
  }
  const uses = new Map<Parameter, number>()
  for (const [, parameter] of module.parameterKeys()) uses.set(parameter, (uses.get(parameter) ?? 0) + 1)
  for (const [parameter, layers] of layersOf) if (uses.get(parameter) !== layers.length) layersOf.delete(parameter)
  return layersOf
}
