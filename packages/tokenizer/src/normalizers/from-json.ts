import type { JsonObject } from '../json-object.ts'
import type { Normalizer } from './normalizer.ts'

const parsers: Readonly<Record<string, (object: JsonObject) => Normalizer>> = {}

/** Throws HEED_CONFIG_INVALID. */
export function normalizerFromJson(object: JsonObject): Normalizer {
  const parse = parsers[object.string('type')]
  if (!parse) throw object.invalid('type', `one of ${Object.keys(parsers).join(', ')}`)
  return parse(object)
}
