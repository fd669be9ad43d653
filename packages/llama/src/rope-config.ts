import type { RopeParameters } from '@heed/layers'
import type { Field, HfConfig } from '@heed/transformer'

type WithoutTheta<T> = T extends unknown ? Omit<T, 'ropeTheta' | 'partialRotaryFactor'> : never

/** HF's `rope_scaling`, in camelCase. */
export type RopeScaling = WithoutTheta<Exclude<RopeParameters, { ropeType: 'default' }>>

type Json = Record<string, unknown>

/** HF's keys of each rope type, required ones first, and ours. */
const keysByType: Readonly<Record<string, { required: readonly string[]; optional: readonly string[] }>> = {
  linear: { required: ['factor'], optional: [] },
  llama3: {
    required: ['factor', 'low_freq_factor', 'high_freq_factor', 'original_max_position_embeddings'],
    optional: [],
  },
  yarn: {
    required: ['factor', 'original_max_position_embeddings'],
    optional: ['beta_fast', 'beta_slow', 'attention_factor', 'mscale', 'mscale_all_dim', 'truncate'],
  },
}

const toCamelCase = (key: string): string => key.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())
const toSnakeCase = (key: string): string => key.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)

/** transformers 5 writes `rope_parameters`, 4 `rope_scaling`, at first with `type` instead of `rope_type`. */
function findRope(json: HfConfig): { key: string; value: unknown } | undefined {
  const key = ['rope_parameters', 'rope_scaling'].find(name => json[name] !== undefined && json[name] !== null)
  return key === undefined ? undefined : { key, value: json[key] }
}

const isPositive = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value) && value > 0

function isScaling(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const rope = value as Json
  const type = String(rope.rope_type ?? rope.type ?? 'default')
  if (type === 'default') return true
  return Object.hasOwn(keysByType, type) && keysByType[type]!.required.every(key => isPositive(rope[key]))
}

/** The base of the rotary angles: `rope_theta`, in transformers 5 within `rope_parameters`. */
export const ropeTheta: Field<number> = {
  keys: ['rope_theta'],
  floatKeys: ['rope_theta'],
  rule: 'a number above 0',
  isValid: isPositive,
  find: json => {
    const theta = (findRope(json)?.value as Json | undefined)?.rope_theta
    return theta === undefined ? undefined : { key: 'rope_parameters.rope_theta', value: theta }
  },
  fallback: 10000,
}

/** The stretching of the rotary angles; written in the spellings of transformers 4 and 5, since each passes over the other's. */
export const ropeScaling: Field<RopeScaling | null> = {
  keys: ['rope_scaling', 'rope_parameters'],
  floatKeys: [
    'factor',
    'low_freq_factor',
    'high_freq_factor',
    'beta_fast',
    'beta_slow',
    'attention_factor',
    'mscale',
    'mscale_all_dim',
  ],
  rule:
    'null or an object with rope_type "default", "linear", "llama3" or "yarn" and the numbers of that type ' +
    `(${Object.entries(keysByType)
      .map(([type, { required }]) => `${type}: ${required.join(', ')}`)
      .join('; ')})`,
  find: findRope,
  isValid: isScaling,
  parse: value => {
    const rope = value as Json
    const type = String(rope.rope_type ?? rope.type ?? 'default')
    if (type === 'default') return null
    const { required, optional } = keysByType[type]!
    const given = [...required, ...optional].filter(key => rope[key] !== undefined && rope[key] !== null)
    return { ropeType: type, ...Object.fromEntries(given.map(key => [toCamelCase(key), rope[key]])) } as RopeScaling
  },
  format: value =>
    value && Object.fromEntries(Object.entries(value).map(([key, number]) => [toSnakeCase(key), number])),
  entries: (value, { ropeTheta: theta }) => {
    const scaling = ropeScaling.format!(value) as Json | null
    return { rope_scaling: scaling, rope_parameters: { rope_theta: theta, ...(scaling ?? { rope_type: 'default' }) } }
  },
  fallback: null,
}
