import { HeedError, type tf } from '@heed/tensor-backend'
import type { Module, Parameter } from './module.ts'

/** Tensors by checkpoint key. */
export type StateDict = ReadonlyMap<string, tf.Tensor> | Readonly<Record<string, tf.Tensor>>

/** Keys that a lenient load passed over. */
export interface LoadReport {
  /** Keys of the module that the state dict lacks. */
  missing: string[]
  /** Keys of the state dict that the module lacks. */
  unexpected: string[]
}

interface StateDictMatch extends LoadReport {
  /** Where each parameter that was found gets its values: the key in the state dict. */
  sources: Map<string, Parameter>
}

/** A longer list of keys is cut: the first few tell which part of the model is concerned. */
const MAX_KEYS_SHOWN = 5

function listed(label: string, items: string[]): string[] {
  if (items.length === 0) return []
  const rest = items.length > MAX_KEYS_SHOWN ? `, and ${items.length - MAX_KEYS_SHOWN} more` : ''
  return [`${items.length} ${label} (${items.slice(0, MAX_KEYS_SHOWN).join(', ')}${rest})`]
}

/**
 * Pairs the keys of a state dict with the parameters of a module; only shapes are looked at, so that a file can be checked
 * before it is read. Throws HEED_STATE_DICT_MISMATCH on a wrong shape and, when strict, on missing or unexpected keys.
 */
export function matchStateDict(
  module: Module,
  tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>,
  { strict = true, source = 'loadStateDict' }: { strict?: boolean; source?: string } = {},
): StateDictMatch {
  const keysOf = new Map<Parameter, string[]>()
  for (const [key, parameter] of module.parameterKeys()) {
    keysOf.set(parameter, [...(keysOf.get(parameter) ?? []), key])
  }
  const sources = new Map<string, Parameter>()
  const missing: string[] = []
  const misshapen: string[] = []
  for (const [parameter, keys] of keysOf) {
    const key = keys.find(name => tensors.has(name))
    if (key === undefined) {
      missing.push(keys[0]!)
      continue
    }
    const { shape } = tensors.get(key)!
    if (shape.join() === parameter.shape.join()) sources.set(key, parameter)
    else misshapen.push(`${key} has shape [${shape.join(', ')}], expected [${parameter.shape.join(', ')}]`)
  }
  const known = new Set([...keysOf.values()].flat())
  const unexpected = [...tensors.keys()].filter(key => !known.has(key))

  if (misshapen.length > 0 || (strict && missing.length + unexpected.length > 0)) {
    const faults = [
      ...(strict ? listed('missing', missing) : []),
      ...(strict ? listed('unexpected', unexpected) : []),
      ...listed('of another shape', misshapen),
    ]
    throw new HeedError(
      'HEED_STATE_DICT_MISMATCH',
      `${source}: tensors are ${faults.join(', ')}, expected the keys and shapes of ${module.constructor.name}. ` +
        'Check that the checkpoint and the configuration belong together.',
    )
  }
  return { sources, missing, unexpected }
}
