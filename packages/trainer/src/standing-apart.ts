import type { Module } from '@heed/layers'
import { HeedError } from '@heed/tensor-backend'
import type { TrainableModel } from './model.ts'

/**
 * Throws HEED_CONFIG_INVALID where what a model is compared with would learn with it: when it is the model itself, a part of it,
 * such as the base of its adapters, or has weights that the model learns. `expected` is what it should be.
 */
export function checkStandsApart(
  where: string,
  name: string,
  other: TrainableModel,
  model: Module & TrainableModel,
  expected: string,
): void {
  const found = whatIsShared(other, model)
  if (found === undefined) return
  throw new HeedError(
    'HEED_CONFIG_INVALID',
    `${where}: ${name} ${found}, expected ${expected} with weights of its own, since one that learns along teaches nothing. ` +
      'Load it a second time.',
  )
}

function whatIsShared(other: TrainableModel, model: Module & TrainableModel): string | undefined {
  if ((other as unknown) === model) return 'is the model itself'
  for (const [path, part] of model.namedModules()) {
    if ((part as unknown) === other) return `is a part of the model${path ? `, ${path}` : ''}`
  }
  const learned = new Map<unknown, string>()
  for (const [key, parameter] of model.namedParameters()) if (parameter.trainable) learned.set(parameter, key)
  for (const [, parameter] of other.namedParameters()) {
    const key = learned.get(parameter)
    if (key !== undefined) return `has ${key} of the model`
  }
  return undefined
}
