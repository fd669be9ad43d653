import { HeedError } from '@heed/tensor-backend'
import { type HfConfig, wholeFloats } from './hf-json.ts'

/** A value that was found, and the key it was found under, as that source spells it. */
interface Found {
  key: string
  value: unknown
}

/** One entry of a configuration: how it is called, what it may be, and what it is when left out. */
export interface Field<T> {
  /** HF's keys: the first is written, all are read. None for what a model never says of itself. */
  readonly keys: readonly string[]
  /** Completes "expected ...". */
  readonly rule: string
  /** Keys that are written as floats even when they are whole. */
  readonly floatKeys?: readonly string[]
  isValid(value: unknown): boolean
  /** JSON to ours and back, where they differ. */
  parse?(value: unknown): T
  format?(value: T): unknown
  /** Reads a field that several keys make up; `keys` are then only those it takes. */
  find?(json: HfConfig): Found | undefined
  /** Writes a field that several keys make up. */
  entries?(value: T, config: Readonly<Record<string, unknown>>): Record<string, unknown>
  /** The value when left out or null; it may depend on fields before it. Without one the field is required. */
  readonly fallback?: T | ((config: Record<string, unknown>) => T)
}

/** What every configuration has beside its own fields. */
export interface BaseConfig {
  readonly modelType: string
  /** Keys of the config.json that Heed does not use: kept, and written back. */
  readonly otherKeys: Readonly<Record<string, unknown>>
  /** Keys of the config.json whose numbers are written as floats even when they are whole. */
  readonly floatKeys: readonly string[]
}

/** A broken rule between fields. */
export interface Violation<C> {
  field: keyof C & string
  /** Completes "expected ...". `key` names another field as the source spells it. */
  rule(key: (field: keyof C & string) => string): string
  mend(key: (field: keyof C & string) => string): string
}

export interface ConfigTable<C extends BaseConfig> {
  /** A complete configuration from some fields; the others take their defaults. Throws HEED_CONFIG_INVALID. */
  complete(partial: Partial<C>): C
  /** The configuration of a config.json; `source` is its path, for messages. Throws HEED_CONFIG_INVALID. */
  fromHf(json: HfConfig, source: string): C
  /** The config.json of a configuration. */
  toHf(config: C): HfConfig
}

/** A field for each name of a configuration. */
export type Fields<C> = { readonly [K in Exclude<keyof C, keyof BaseConfig>]-?: Field<C[K]> }

export interface ConfigRules<C> {
  /** Rules between fields, checked in order; the first broken one is reported. */
  check?(config: C): Violation<C> | undefined
  /** Keys that would change numbers and are not served, with the values that change nothing. */
  unserved?: Readonly<Record<string, readonly unknown[]>>
}

function shown(value: unknown): string {
  return JSON.stringify(value) ?? String(value)
}

function invalid(source: string, key: string, value: unknown, rule: string, mend: string): HeedError {
  return new HeedError('HEED_CONFIG_INVALID', `${source}: ${key} is ${shown(value)}, expected ${rule}. ${mend}`)
}

/** A null counts where the field has a meaning for it, and else as left out. */
function findByKeys({ keys, isValid }: Field<unknown>, json: HfConfig): Found | undefined {
  const set = keys.find(name => json[name] !== undefined && json[name] !== null)
  const key = set ?? (isValid(null) ? keys.find(name => json[name] === null) : undefined)
  return key === undefined ? undefined : { key, value: json[key] }
}

/** Makes the reader, checker and writer of one architecture's configuration from its table of fields. */
export function defineConfig<C extends BaseConfig>(
  modelType: string,
  fields: Fields<C>,
  { check, unserved = {} }: ConfigRules<C> = {},
): ConfigTable<C> {
  const table = Object.entries(fields) as [string, Field<unknown>][]
  const ownFloatKeys = table.flatMap(([, field]) => field.floatKeys ?? [])

  type Find = (name: string, field: Field<unknown>) => Found | undefined
  type Spell = (name: string, field: Field<unknown>) => string

  function build(source: string, type: string, find: Find, spell: Spell): C {
    const config: Record<string, unknown> = { modelType: type }
    const spelling = new Map<string, string>()
    for (const [name, field] of table) {
      const found = find(name, field)
      const key = found?.key ?? spell(name, field)
      spelling.set(name, key)
      if (found && !field.isValid(found.value)) {
        throw invalid(source, key, found.value, field.rule, `Set ${key} to such a value.`)
      }
      if (!found && field.fallback === undefined) throw invalid(source, key, undefined, field.rule, `Add ${key}.`)
      if (found) config[name] = field.parse ? field.parse(found.value) : found.value
      else config[name] = typeof field.fallback === 'function' ? field.fallback(config) : field.fallback
    }
    const complete = config as unknown as C
    const broken = check?.(complete)
    if (broken) {
      const key = (field: string): string => spelling.get(field)!
      throw invalid(source, key(broken.field), complete[broken.field], broken.rule(key), broken.mend(key))
    }
    return complete
  }

  return {
    complete(partial) {
      const given = partial as Record<string, unknown>
      const known = new Set(['modelType', 'otherKeys', 'floatKeys', ...table.map(([name]) => name)])
      const unknown = Object.keys(given).find(key => !known.has(key))
      if (unknown) {
        throw invalid('config', unknown, given[unknown], 'a name that this configuration has', `Remove ${unknown}.`)
      }
      const find: Find = (name, field) => {
        const value = given[name]
        if (value === undefined) return undefined
        return { key: name, value: field.format ? field.format(value) : value }
      }
      const config = build('config', partial.modelType ?? modelType, find, name => name)
      return Object.freeze({ ...config, otherKeys: partial.otherKeys ?? {}, floatKeys: ownFloatKeys })
    },

    fromHf(json, source) {
      for (const [key, harmless] of Object.entries(unserved)) {
        const value = json[key]
        if (value === undefined || value === null || harmless.includes(value)) continue
        const rule = harmless.length > 0 ? harmless.map(shown).join(' or ') : 'it to be absent'
        throw invalid(source, key, value, rule, 'This version does not serve models that set it.')
      }
      const type = typeof json.model_type === 'string' ? json.model_type : modelType
      const find: Find = (_name, field) => field.find?.(json) ?? findByKeys(field, json)
      const config = build(source, type, find, (name, field) => field.keys[0] ?? name)
      const read = new Set(['model_type', ...table.flatMap(([, { keys }]) => keys)])
      const otherKeys = Object.fromEntries(Object.entries(json).filter(([key]) => !read.has(key)))
      const floatKeys = [...new Set([...ownFloatKeys, ...(json[wholeFloats] ?? [])])]
      return Object.freeze({ ...config, otherKeys, floatKeys })
    },

    toHf(config) {
      const json: Record<string, unknown> = { ...config.otherKeys, model_type: config.modelType }
      for (const [name, field] of table) {
        const value = config[name as keyof C]
        if (field.entries) Object.assign(json, field.entries(value, config as unknown as Record<string, unknown>))
        else if (field.keys[0] !== undefined) json[field.keys[0]] = field.format ? field.format(value) : value
      }
      return json
    },
  }
}
