/** The keywords of JSON schemas: which there are, and reading them. */
import { HeedError } from '@heed/tensor-backend'

/** A JSON schema (2020-12, draft 7 where they agree). */
export type JsonSchema = boolean | { readonly [keyword: string]: unknown }
export type Schema = { readonly [keyword: string]: unknown }

/** What says nothing about which values are valid. */
const annotations = new Set(
  '$schema $id $comment $defs definitions title description default examples deprecated readOnly writeOnly format'.split(
    ' ',
  ),
)
const keywordsOf: Readonly<Record<string, readonly string[]>> = {
  object: ['properties', 'required', 'additionalProperties'],
  array: ['items', 'prefixItems', 'minItems', 'maxItems'],
  string: ['minLength', 'maxLength', 'pattern'],
  integer: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'],
  number: [],
  boolean: [],
  null: [],
}

/** Formats whose values are checked; other formats are notes, as the standard has it. */
export const formats: Readonly<Record<string, string>> = {
  date: '^\\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\\d|3[01])$',
  time: '^(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,6})?(?:Z|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)$',
  'date-time':
    '^\\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\\d|3[01])T(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,6})?(?:Z|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)$',
  uuid: '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$',
}

/** What a schema is refused with: the place in it, what stands there, what was expected, and how to mend it. */
export function invalid(
  at: string,
  keyword: string,
  value: unknown,
  rule: string,
  mend = 'Change it or leave it out.',
): HeedError {
  const place = keyword === '' ? at : `${at}/${keyword}`
  return new HeedError(
    'HEED_ARGUMENT_INVALID',
    `json schema: ${place} is ${JSON.stringify(value)}, expected ${rule}. ${mend}`,
  )
}

/** The keywords of a schema that say which values are valid. */
export function constraining(schema: Schema): string[] {
  const isChecked = (key: string): boolean => key === 'format' && Object.hasOwn(formats, String(schema.format))
  return Object.keys(schema).filter(key => !annotations.has(key) || isChecked(key))
}

/** Throws at a keyword other than `kept` that stands beside `name` and would be passed over. */
export function checkBeside(name: string, kept: readonly string[], schema: Schema, at: string): void {
  const wrong = constraining(schema).find(key => key !== name && !kept.includes(key))
  if (wrong !== undefined)
    throw invalid(
      at,
      wrong,
      schema[wrong],
      `none beside ${name}: the two cannot be kept together`,
      'Leave one of the two out.',
    )
}

export const isObject = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export function propertiesOf({ properties = {} }: Schema, at: string): Readonly<Record<string, JsonSchema>> {
  if (isObject(properties)) return properties as Readonly<Record<string, JsonSchema>>
  throw invalid(at, 'properties', properties, 'an object of schemas', 'Write {"name": schema}.')
}

export function requiredOf({ required = [] }: Schema, at: string): readonly string[] {
  if (Array.isArray(required) && required.every(name => typeof name === 'string')) return required
  throw invalid(at, 'required', required, 'a list of names', 'Write ["name"].')
}

/** Types that are named, or that keywords tell of. */
export function typesOf(schema: Schema, at: string): string[] {
  const { type } = schema
  if (type === undefined) return Object.keys(keywordsOf).filter(name => keywordsOf[name]!.some(key => key in schema))
  const types = Array.isArray(type) ? type : [type]
  const wrong = types.find(name => !Object.hasOwn(keywordsOf, name))
  if (wrong !== undefined || types.length === 0)
    throw invalid(at, 'type', type, Object.keys(keywordsOf).join(', '), 'Choose one, or a list of them.')
  return types
}

/** A keyword that is passed over would let wrong values through. */
export function checkKeywords(schema: Schema, types: readonly string[], at: string): void {
  // Bounds of numbers are kept for integers alone.
  const kept = types.filter(type => type !== 'integer' || !types.includes('number'))
  const known = new Set([...annotations, 'type', ...kept.flatMap(type => keywordsOf[type]!)])
  const everywhere = new Set(Object.values(keywordsOf).flat())
  const wrong = Object.keys(schema).find(key => !known.has(key) && !(everywhere.has(key) && !types.includes('number')))
  if (wrong === undefined) return
  throw invalid(
    at,
    wrong,
    schema[wrong],
    'no such keyword: it cannot be kept while a text is written',
    'Leave it out, and check the value once it is written.',
  )
}
