import type { RopeParameters } from '@heed/layers'
import type { Field, HfConfig } from '@heed/transformer'

/** HF's `rope_scaling`, in camelCase. What it says of the context is completed by `ropeParameters`. */
export type RopeScaling = WithoutContext<Exclude<RopeParameters, { ropeType: 'default' }>>
type WithoutContext<T> = T extends unknown
  ? Omit<T, 'ropeTheta' | 'maxPositionEmbeddings' | (T extends { ropeType: 'longrope' } ? 'factor' : never)> & {
      factor?: number
    }
  : never

type Json = Record<string, unknown>

/** HF's keys of each rope type, and whether they must be there. */
const keysByType: Readonly<Record<string, { required: readonly string[]; optional: readonly string[] }>> = {
  linear: { required: ['factor'], optional: [] },
  dynamic: { required: ['factor'], optional: [] },
  llama3: {
    required: ['factor', 'low_freq_factor', 'high_freq_factor', 'original_max_position_embeddings'],
    optional: [],
  },
  yarn: {
    required: ['factor', 'original_max_position_embeddings'],
    optional: ['beta_fast', 'beta_slow', 'attention_factor', 'mscale', 'mscale_all_dim', 'truncate'],
  },
  longrope: {
    required: ['short_factor', 'long_factor', 'original_max_position_embeddings'],
    optional: ['factor', 'attention_factor'],
  },
}

/** Old names of types. */
const aliases: Readonly<Record<string, string>> = { su: 'longrope' }
/** Keys beside those of the type, which other fields read or which repeat what the type says. */
const sharedKeys = ['type', 'rope_type', 'rope_theta', 'partial_rotary_factor', 'original_max_position_embeddings']

const toCamelCase = (key: string): string => key.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())
const toSnakeCase = (key: string): string => key.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)
const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)
const isPositive = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value) && value > 0

function typeOf(rope: Json): string {
  const type = String(rope.rope_type ?? rope.type ?? 'default')
  return aliases[type] ?? type
}

/** transformers 5 writes `rope_parameters`, 4 `rope_scaling`, at first with `type` instead of `rope_type`; Gemma 3 one for each kind of layer. */
function findRope(json: HfConfig): { key: string; value: unknown } | undefined {
  const key = ['rope_scaling', 'rope_parameters'].find(name => json[name] !== undefined && json[name] !== null)
  if (key === undefined) return undefined
  const value = json[key]
  return isObject(value) && isObject(value.full_attention)
    ? { key: `${key}.full_attention`, value: value.full_attention }
    : { key, value }
}

/** The context trained on may stand beside the rope parameters, as in Phi-3, or be the one that the model has. */
function findScaling(json: HfConfig): { key: string; value: unknown } | undefined {
  const found = findRope(json)
  if (!found || !isObject(found.value)) return found
  const { required = [] } = keysByType[typeOf(found.value)] ?? {}
  if (!required.includes('original_max_position_embeddings')) return found
  const original =
    json.original_max_position_embeddings ??
    found.value.original_max_position_embeddings ??
    json.max_position_embeddings
  return { key: found.key, value: { ...found.value, original_max_position_embeddings: original } }
}

function isNumberFor(key: string, value: unknown): boolean {
  if (key === 'truncate') return typeof value === 'boolean'
  if (key === 'short_factor' || key === 'long_factor') return Array.isArray(value) && value.every(isPositive)
  return isPositive(value)
}

function isScaling(value: unknown): boolean {
  if (value === null) return true
  if (!isObject(value)) return false
  const type = typeOf(value)
  if (type === 'default') return Object.keys(value).every(key => sharedKeys.includes(key))
  if (!Object.hasOwn(keysByType, type)) return false
  const { required, optional } = keysByType[type]!
  return (
    required.every(key => isNumberFor(key, value[key])) &&
    optional.every(key => value[key] === undefined || value[key] === null || isNumberFor(key, value[key])) &&
    Object.keys(value).every(key => [...required, ...optional, ...sharedKeys].includes(key))
  )
}

/** A number that stands beside the rope parameters in transformers 4 and among them in 5. */
function ropeNumber(key: string, fallback: number): Field<number> {
  return {
    keys: [key],
    floatKeys: [key],
    rule: 'a number above 0',
    isValid: isPositive,
    find: json => {
      const found = findRope(json)
      const value = isObject(found?.value) ? found.value[key] : undefined
      return value === undefined ? undefined : { key: `${found!.key}.${key}`, value }
    },
    fallback,
  }
}

/** The base of the rotary angles. */
export function ropeTheta(fallback = 10000): Field<number> {
  return ropeNumber('rope_theta', fallback)
}

/** The share of each head's channels that turn; the others stay as they are. */
export const partialRotaryFactor: Field<number> = {
  ...ropeNumber('partial_rotary_factor', 1),
  rule: 'a number above 0 and at most 1',
  isValid: value => isPositive(value) && (value as number) <= 1,
  entries: factor => (factor === 1 ? {} : { partial_rotary_factor: factor }),
}

/** Of models whose heads HF turns whole, whatever the factor. */
export const wholeRotaryFactor: Field<number> = {
  ...partialRotaryFactor,
  rule: '1, since heads of this architecture turn whole',
  isValid: value => value === 1,
}

/** The base of the angles in layers with a sliding window, where it is another (Gemma 3). */
export const ropeLocalBaseFreq: Field<number> = {
  keys: ['rope_local_base_freq'],
  floatKeys: ['rope_local_base_freq'],
  rule: 'a number above 0, with rope_type "default"',
  find: ({ rope_parameters: rope }) => {
    if (!isObject(rope) || !isObject(rope.sliding_attention)) return undefined
    const { sliding_attention: local } = rope
    const isDefault = typeOf(local) === 'default'
    return {
      key: 'rope_parameters.sliding_attention',
      value: isDefault ? (local.rope_theta ?? 10000) : local,
    }
  },
  isValid: isPositive,
  fallback: 10000,
}

interface RopeFields {
  readonly ropeTheta: number
  readonly partialRotaryFactor: number
  readonly ropeLocalBaseFreq?: number | null
}

/** The stretching of the rotary angles; written in the spellings of transformers 4 and 5, since each passes over the other's. */
export const ropeScaling: Field<RopeScaling | null> = {
  keys: ['rope_scaling', 'rope_parameters'],
  floatKeys: ['factor', 'low_freq_factor', 'high_freq_factor', 'beta_fast', 'beta_slow', 'attention_factor'].concat([
    'mscale',
    'mscale_all_dim',
  ]),
  rule:
    `null or an object with rope_type "default", ${Object.keys(keysByType)
      .map(type => `"${type}"`)
      .join(', ')} and the numbers of that type and no others ` +
    `(${Object.entries(keysByType)
      .map(
        ([type, { required, optional }]) => `${type}: ${[...required, ...optional.map(key => `${key}?`)].join(', ')}`,
      )
      .join('; ')})`,
  find: findScaling,
  isValid: isScaling,
  parse: value => {
    if (value === null) return null
    const rope = value as Json
    const type = typeOf(rope)
    if (type === 'default') return null
    const { required, optional } = keysByType[type]!
    const given = [...required, ...optional].filter(key => rope[key] !== undefined && rope[key] !== null)
    return { ropeType: type, ...Object.fromEntries(given.map(key => [toCamelCase(key), rope[key]])) } as RopeScaling
  },
  format: value =>
    value && Object.fromEntries(Object.entries(value).map(([key, number]) => [toSnakeCase(key), number])),
  entries: (value, config) => {
    const { ropeTheta: theta, partialRotaryFactor: partial, ropeLocalBaseFreq: local } = config as unknown as RopeFields
    const scaling = ropeScaling.format!(value) as Json | null
    const share = partial === 1 ? {} : { partial_rotary_factor: partial }
    const rope = { rope_theta: theta, ...share, ...(scaling ?? { rope_type: 'default' }) }
    const kinds = { full_attention: rope, sliding_attention: { rope_theta: local, rope_type: 'default' } }
    return {
      ...scalingOfVersion4(scaling),
      rope_parameters: local === undefined || local === null ? rope : kinds,
    }
  },
  fallback: null,
}

/** transformers 4 wants three keys for `longrope`, and the context trained on beside them. */
function scalingOfVersion4(scaling: Json | null): Json {
  if (scaling?.rope_type !== 'longrope') return { rope_scaling: scaling }
  const { rope_type: type, original_max_position_embeddings: original, ...factors } = scaling
  return { rope_scaling: { type, ...factors }, original_max_position_embeddings: original }
}
