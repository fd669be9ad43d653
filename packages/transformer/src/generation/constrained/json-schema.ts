import { choice, type Expression, type Grammar, optional, repeat, rule, sequence, text } from './grammar.ts'
import { integersBetween } from './integer-range.ts'
import { inBraces, inBrackets, jsonRules, listOf, member, spaced, stringOf, stringOtherThan } from './json-grammar.ts'
import { parseRegex } from './regex.ts'
import {
  checkBeside,
  checkKeywords,
  constraining,
  formats,
  invalid,
  isObject,
  type JsonSchema,
  propertiesOf,
  requiredOf,
  type Schema,
  typesOf,
} from './schema-keywords.ts'
import { bothOf } from './schema-merge.ts'

const { POSITIVE_INFINITY, NEGATIVE_INFINITY } = Number

/**
 * The grammar of JSON texts that are valid by a schema. Members of objects come in the schema's order, and no others unless
 * `additionalProperties` is given; `oneOf` is read as `anyOf`. Throws HEED_ARGUMENT_INVALID at a keyword that it cannot keep, alone
 * or beside others.
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
      throw invalid(at, '', schema, 'a schema: an object, or true', 'Write true for any value.')
    }
    if ('$ref' in schema) {
      checkBeside('$ref', [], schema, at)
      return this.#reference(schema.$ref, at)
    }
    if ('const' in schema || 'enum' in schema) return choice(...valuesOf(schema, at).map(value => text(value)))
    if ('anyOf' in schema || 'oneOf' in schema) return this.#anyOf(schema, at)
    const types = typesOf(schema, at)
    checkKeywords(schema, types, at)
    return types.length === 0 ? rule('value') : choice(...types.map(type => this.#ofType(type, schema, at)))
  }

  /** One of several schemas, each together with what stands beside them. */
  #anyOf(schema: Schema, at: string): Expression {
    const name = 'anyOf' in schema ? 'anyOf' : 'oneOf'
    const { [name]: options, ...shared } = schema
    if ('oneOf' in shared) throw invalid(at, 'oneOf', shared.oneOf, 'none beside anyOf', 'Leave one of the two out.')
    if (!Array.isArray(options) || options.length === 0)
      throw invalid(at, name, options, 'a list of schemas', 'Give at least one.')
    const isBare = constraining(shared).length === 0
    return choice(
      ...options.map((option, i) => {
        const place = `${at}/${name}/${i}`
        return this.#value(isBare ? option : option === true ? shared : bothOf(shared, option, place), place)
      }),
    )
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
  #reference(pointer: unknown, at: string): Expression {
    const target = typeof pointer === 'string' ? targetOf(this.root, pointer) : undefined
    if (target === undefined)
      throw invalid(
        at,
        '$ref',
        pointer,
        'a place within the schema, such as "#/$defs/name"',
        'Write the schema that is meant there.',
      )
    return this.#place(pointer as string, target)
  }

  #place(pointer: string, target: unknown): Expression {
    if (this.#rules.has(pointer) || pointer === '#') return rule(pointer)
    this.#rules.set(pointer, rule('value')) // holds the place while the schema is read
    this.#rules.set(pointer, this.#value(target as JsonSchema, pointer))
    return rule(pointer)
  }

  #object(schema: Schema, at: string): Expression {
    const { additionalProperties } = schema
    const properties = propertiesOf(schema, at)
    const names = Object.keys(properties)
    const needed = requiredOf(schema, at)
    const isOpen = additionalProperties ?? names.length + needed.length === 0
    const missing = needed.find(name => !names.includes(name))
    if (missing !== undefined && !isOpen)
      throw invalid(at, 'required', missing, 'a name that properties holds', 'Add it there, or leave it out here.')
    const others = isOpen
      ? this.#value(typeof isOpen === 'object' ? (isOpen as Schema) : true, `${at}/additionalProperties`)
      : undefined
    // Names that must be there and have no schema of their own come after those that do.
    const known = [...new Set([...names, ...needed])]
    const members = known.map(name => ({
      isRequired: needed.includes(name),
      member: member(
        text(JSON.stringify(name)),
        names.includes(name) ? this.#value(properties[name]!, `${at}/properties/${name}`) : others!,
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
    if (min > max) throw invalid(at, 'maxItems', maxItems, `at least minItems, ${min}`, 'Change one of the two.')
    if (!Array.isArray(prefixItems)) throw invalid(at, 'prefixItems', prefixItems, 'a list of schemas')
    if (items === false && min > prefixItems.length) {
      throw invalid(
        at,
        'minItems',
        minItems,
        `at most the ${prefixItems.length} of prefixItems, as items is false`,
        'Lower it, or give items a schema.',
      )
    }
    const first = (prefixItems as readonly JsonSchema[]).map((item, i) => this.#value(item, `${at}/prefixItems/${i}`))
    const rest = items === false ? undefined : this.#value(items as JsonSchema, `${at}/items`)
    if (first.length === 0) return inBrackets(rest ? listOf(rest, min, max) : sequence())
    const [count, most] = [first.length, rest ? max - first.length : 0]
    if (most < 0)
      throw invalid(
        at,
        'maxItems',
        maxItems,
        `at least the ${count} of prefixItems`,
        'Raise it, or leave some of them out.',
      )
    const tail = rest && repeat(sequence(spaced(','), rest), Math.max(0, min - count), most)
    const list = first.flatMap((item, i) => (i === 0 ? [item] : [spaced(','), item]))
    return inBrackets(sequence(...list, ...(tail ? [tail] : [])))
  }
}

interface Member {
  isRequired: boolean
  member: Expression
}

/** The texts of the values that `const` and `enum` name, and `type` allows. */
function valuesOf(schema: Schema, at: string): string[] {
  const name = 'enum' in schema ? 'enum' : 'const'
  checkBeside(name, ['type', 'const'], schema, at)
  const values = name === 'enum' ? schema.enum : [schema.const]
  if (!Array.isArray(values)) throw invalid(at, 'enum', values, 'a list of values')
  const types = 'type' in schema ? typesOf(schema, at) : undefined
  const texts = values
    .filter(value => !types || types.some(type => isOfType(value, type)))
    .map(value => JSON.stringify(value))
    .filter(value => !('const' in schema) || value === JSON.stringify(schema.const))
  if (texts.length === 0)
    throw invalid(
      at,
      name,
      schema[name],
      'a value that the keywords beside it allow',
      'Add one, or change those keywords.',
    )
  return texts
}

function isOfType(value: unknown, type: string): boolean {
  if (type === 'integer') return Number.isInteger(value)
  if (type === 'null') return value === null
  if (type === 'array') return Array.isArray(value)
  return type === 'object' ? isObject(value) : typeof value === type
}

/** What a JSON pointer, `#/$defs/name`, points to. */
function targetOf(root: JsonSchema, pointer: string): unknown {
  if (pointer !== '#' && !pointer.startsWith('#/')) return undefined
  let target: unknown = root
  for (const part of pointer.split('/').slice(1)) {
    const key = decodedPart(part)?.replaceAll('~1', '/').replaceAll('~0', '~')
    if (key === undefined || typeof target !== 'object' || target === null || !Object.hasOwn(target, key))
      return undefined
    target = (target as Schema)[key]
  }
  return target
}

function decodedPart(part: string): string | undefined {
  try {
    return decodeURIComponent(part)
  } catch {
    return undefined
  }
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
    if (min > max) throw invalid(at, 'maxLength', maxLength, `at least minLength, ${min}`, 'Change one of the two.')
    return sequence(text('"'), repeat(rule('character'), min, max), text('"'))
  }
  if (typeof source !== 'string') throw invalid(at, 'pattern', pattern, 'a regular expression')
  const length = ['minLength', 'maxLength'].find(name => name in schema)
  if (length !== undefined)
    throw invalid(
      at,
      length,
      schema[length],
      'none beside a pattern',
      'Write the length into the pattern, such as ^[a-z]{2,5}$.',
    )
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
  if (min > max)
    throw invalid(
      at,
      'maximum',
      schema.maximum ?? schema.exclusiveMaximum,
      `at least the minimum, ${min}`,
      'Change one of the two.',
    )
  return integersBetween(min, max)
}
