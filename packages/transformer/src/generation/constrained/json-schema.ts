import { HeedError } from '@heed/tensor-backend'
import { choice, type Expression, type Grammar, optional, repeat, rule, sequence, text } from './grammar.ts'
import { integersBetween } from './integer-range.ts'
import { inBraces, inBrackets, jsonRules, listOf, member, spaced, stringOf, stringOtherThan } from './json-grammar.ts'
import { parseRegex } from './regex.ts'

/** A JSON schema (2020-12, draft 7 where they agree). */
export type JsonSchema = boolean | { readonly [keyword: string]: unknown }
type Schema = { readonly [keyword: string]: unknown }

const { POSITIVE_INFINITY, NEGATIVE_INFINITY } = Number

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
const combining = ['type', 'enum', 'const', 'anyOf', 'oneOf', '$ref']

/** Formats whose values are checked; other formats are notes, as the standard has it. */
const formats: Readonly<Record<string, string>> = {
  date: '^\\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\\d|3[01])$',
  time: '^(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,6})?(?:Z|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)$',
  'date-time':
    '^\\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\\d|3[01])T(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,6})?(?:Z|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)$',
  uuid: '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$',
}

/**
 * The grammar of JSON texts that are valid by a schema. Members of objects come in the schema's order, and no others unless
 * `additionalProperties` is given; `oneOf` is read as `anyOf`. Throws HEED_ARGUMENT_INVALID at a keyword that it cannot keep.
 */
export function jsonSchemaGrammar(schema: JsonSchema): Grammar {
  return new SchemaCompiler(schema).compile()
}

class SchemaCompiler {
  readonly #rules = new Map(jsonRules)

  constructor(private readonly root: JsonSchema) {}

  compile(): Grammar {
    this.#rules.set('#', this.#value(this.root, '#'))
    return { root: '#', rules: this.#rules }
  }

  /** The JSON values that a schema allows; `at` is the schema's place, as a JSON pointer. */
  #value(schema: JsonSchema, at: string): Expression {
    if (schema === true) return rule('value')
    if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) {
      throw invalid(at, '', schema, 'a schema: an object, or true')
    }
    const { $ref, enum: values, anyOf, oneOf } = schema
    if (typeof $ref === 'string') return this.#reference($ref, at)
    if ('const' in schema) return text(JSON.stringify(schema.const))
    if (Array.isArray(values) && values.length > 0) return choice(...values.map(value => text(JSON.stringify(value))))
    const options = anyOf ?? oneOf
    if (Array.isArray(options) && options.length > 0) {
      const shared = Object.fromEntries(Object.entries(schema).filter(([key]) => key !== 'anyOf' && key !== 'oneOf'))
      const isBare = Object.keys(shared).every(key => annotations.has(key))
      const name = anyOf ? 'anyOf' : 'oneOf'
      return choice(
        ...options.map((option, i) => this.#value(isBare ? option : { ...shared, ...option }, `${at}/${name}/${i}`)),
      )
    }
    const types = typesOf(schema, at)
    checkKeywords(schema, types, at)
    return types.length === 0 ? rule('value') : choice(...types.map(type => this.#ofType(type, schema, at)))
  }

  #ofType(type: string, schema: Schema, at: string): Expression {
    switch (type) {
      case 'object':
        return this.#object(schema, at)
      case 'array':
        return this.#array(schema, at)
      case 'string':
        return stringValue(schema, at)
      case 'integer':
        return integerValue(schema, at)
      case 'boolean':
        return choice(text('true'), text('false'))
      default:
        return type === 'null' ? text('null') : rule('number')
    }
  }

  /** A rule for each place that is referred to, so that schemas may hold themselves. */
  #reference(pointer: string, at: string): Expression {
    if (this.#rules.has(pointer) || pointer === '#') return rule(pointer)
    const keys = pointer.split('/').map(key => decodeURIComponent(key).replaceAll('~1', '/').replaceAll('~0', '~'))
    let target: unknown = keys[0] === '#' ? this.root : undefined
    for (const key of keys.slice(1)) target = (target as Schema | undefined)?.[key]
    if (target === undefined) throw invalid(at, '$ref', pointer, 'a place within the schema, such as "#/$defs/name"')
    this.#rules.set(pointer, rule('value')) // holds the place while the schema is read
    this.#rules.set(pointer, this.#value(target as JsonSchema, pointer))
    return rule(pointer)
  }

  #object(schema: Schema, at: string): Expression {
    const { properties = {}, required = [], additionalProperties } = schema
    const names = Object.keys(properties as Schema)
    const needed = required as readonly string[]
    const isOpen = additionalProperties ?? names.length + needed.length === 0
    const missing = needed.find(name => !names.includes(name))
    if (missing !== undefined && !isOpen) throw invalid(at, 'required', missing, 'a name that properties holds')
    const others = isOpen
      ? this.#value(typeof isOpen === 'object' ? (isOpen as Schema) : true, `${at}/additionalProperties`)
      : undefined
    // Names that must be there and have no schema of their own come after those that do.
    const known = [...new Set([...names, ...needed])]
    const members = known.map(name => ({
      isRequired: needed.includes(name),
      member: member(
        text(JSON.stringify(name)),
        names.includes(name)
          ? this.#value((properties as Record<string, JsonSchema>)[name]!, `${at}/properties/${name}`)
          : others!,
      ),
    }))
    const other = others && member(known.length > 0 ? stringOtherThan(known) : rule('string'), others)
    return inBraces(this.#members(members, other, at))
  }

  /** Members in order, with commas between those that are there: rules for what may follow the first one that is. */
  #members(members: readonly Member[], other: Expression | undefined, at: string): Expression {
    const following = (expression: Expression): Expression => sequence(spaced(','), expression)
    const after = (i: number): Expression => rule(`${at} after ${i}`)
    const more = other && repeat(following(other), 0, POSITIVE_INFINITY)
    this.#rules.set(`${at} after ${members.length}`, more ?? sequence())
    let begin = other && more ? optional(sequence(other, more)) : sequence()
    for (const [i, { member, isRequired }] of [...members.entries()].reverse()) {
      const next = following(member)
      this.#rules.set(`${at} after ${i}`, sequence(isRequired ? next : optional(next), after(i + 1)))
      const first = sequence(member, after(i + 1))
      begin = isRequired ? first : choice(first, begin)
    }
    return begin
  }

  #array(schema: Schema, at: string): Expression {
    const { prefixItems = [], items = true, minItems, maxItems } = schema
    const min = bound(schema, 'minItems', minItems, 0, at)
    const max = bound(schema, 'maxItems', maxItems, POSITIVE_INFINITY, at)
    const first = (prefixItems as readonly JsonSchema[]).map((item, i) => this.#value(item, `${at}/prefixItems/${i}`))
    const rest = items === false ? undefined : this.#value(items as JsonSchema, `${at}/items`)
    if (first.length === 0) return inBrackets(rest ? listOf(rest, min, max) : sequence())
    const [count, most] = [first.length, rest ? max - first.length : 0]
    if (most < 0) throw invalid(at, 'maxItems', maxItems, `at least the ${count} of prefixItems`)
    const tail = rest && repeat(sequence(spaced(','), rest), Math.max(0, min - count), most)
    const list = first.flatMap((item, i) => (i === 0 ? [item] : [spaced(','), item]))
    return inBrackets(sequence(...list, ...(tail ? [tail] : [])))
  }
}

interface Member {
  isRequired: boolean
  member: Expression
}

function invalid(at: string, keyword: string, value: unknown, rule: string): HeedError {
  const place = keyword === '' ? at : `${at}/${keyword}`
  return new HeedError('HEED_ARGUMENT_INVALID', `json schema: ${place} is ${JSON.stringify(value)}, expected ${rule}.`)
}

/** Types that are named, or that keywords tell of. */
function typesOf(schema: Schema, at: string): string[] {
  const { type } = schema
  if (type === undefined) return Object.keys(keywordsOf).filter(name => keywordsOf[name]!.some(key => key in schema))
  const types = Array.isArray(type) ? type : [type]
  const wrong = types.find(name => !Object.hasOwn(keywordsOf, name))
  if (wrong !== undefined || types.length === 0) throw invalid(at, 'type', type, Object.keys(keywordsOf).join(', '))
  return types
}

/** A keyword that is passed over would let wrong values through. */
function checkKeywords(schema: Schema, types: readonly string[], at: string): void {
  const known = new Set([...annotations, ...combining, ...types.flatMap(type => keywordsOf[type]!)])
  const everywhere = new Set(Object.values(keywordsOf).flat())
  const wrong = Object.keys(schema).find(key => !known.has(key) && !(everywhere.has(key) && !types.includes('number')))
  if (wrong === undefined) return
  throw invalid(at, wrong, schema[wrong], 'no such keyword: it cannot be kept while a text is written')
}

function bound(schema: Schema, name: string, value: unknown, fallback: number, at: string): number {
  if (value === undefined) return fallback
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number
  throw invalid(at, name, schema[name], 'an integer of at least 0')
}

function stringValue(schema: Schema, at: string): Expression {
  const { minLength, maxLength, pattern, format } = schema
  const source = pattern ?? (typeof format === 'string' ? formats[format] : undefined)
  if (source === undefined) {
    const min = bound(schema, 'minLength', minLength, 0, at)
    const max = bound(schema, 'maxLength', maxLength, POSITIVE_INFINITY, at)
    return sequence(text('"'), repeat(rule('character'), min, max), text('"'))
  }
  if (typeof source !== 'string') throw invalid(at, 'pattern', pattern, 'a regular expression')
  const length = ['minLength', 'maxLength'].find(name => name in schema)
  if (length !== undefined) throw invalid(at, length, schema[length], 'none beside a pattern')
  const { expression, isAnchoredAtStart, isAnchoredAtEnd } = parseRegex(source)
  const any = repeat(rule('character'), 0, POSITIVE_INFINITY)
  const content = sequence(...(isAnchoredAtStart ? [] : [any]), expression, ...(isAnchoredAtEnd ? [] : [any]))
  return stringOf(content)
}

function integerValue(schema: Schema, at: string): Expression {
  const limit = (name: string, shift: number, fallback: number): number => {
    const value = schema[name]
    if (value === undefined) return fallback
    if (typeof value !== 'number' || !Number.isFinite(value)) throw invalid(at, name, value, 'a number')
    return Number.isInteger(value)
      ? value + shift
      : shift > 0 || name === 'minimum'
        ? Math.ceil(value)
        : Math.floor(value)
  }
  const min = Math.max(limit('minimum', 0, NEGATIVE_INFINITY), limit('exclusiveMinimum', 1, NEGATIVE_INFINITY))
  const max = Math.min(limit('maximum', 0, POSITIVE_INFINITY), limit('exclusiveMaximum', -1, POSITIVE_INFINITY))
  if (min > max) throw invalid(at, 'maximum', schema.maximum ?? schema.exclusiveMaximum, `at least the minimum, ${min}`)
  return integersBetween(min, max)
}
