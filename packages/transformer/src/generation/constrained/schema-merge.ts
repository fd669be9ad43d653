/** Two schemas as one, for keywords that stand beside `anyOf`. */
import { constraining, invalid, isObject, propertiesOf, requiredOf, type Schema, typesOf } from './schema-keywords.ts'

/** Bounds of which the narrower holds. */
const lowerBounds = ['minimum', 'exclusiveMinimum', 'minItems', 'minLength']
const upperBounds = ['maximum', 'exclusiveMaximum', 'maxItems', 'maxLength']

/** A schema that allows what two allow; `at` is the place of the second. Throws where they cannot be put into one. */
export function bothOf(first: Schema, second: unknown, at: string): Schema {
  if (!isObject(second)) throw invalid(at, '', second, 'a schema: an object, or true', 'Write true for any value.')
  if ('$ref' in second)
    throw invalid(
      at,
      '$ref',
      second.$ref,
      'none where keywords stand beside the list',
      'Move those keywords into the schema that it names.',
    )
  const both: Record<string, unknown> = { ...first, ...second, ...bothObjects(first, second, at) }
  if ('items' in first !== 'items' in second || 'prefixItems' in first !== 'prefixItems' in second) {
    const isList = (schema: Schema): boolean => 'items' in schema || 'prefixItems' in schema
    if (isList(first) && isList(second))
      throw invalid(
        at,
        'items',
        second.items,
        'the keywords for items in one place',
        'Leave them out of one of the two.',
      )
  }
  for (const key of constraining(first)) {
    if (!(key in second) || ['properties', 'required', 'additionalProperties'].includes(key)) continue
    const [a, b] = [first[key], second[key]]
    if (key === 'type') both.type = commonTypes(first, second, at)
    else if (typeof a === 'number' && typeof b === 'number' && lowerBounds.includes(key)) both[key] = Math.max(a, b)
    else if (typeof a === 'number' && typeof b === 'number' && upperBounds.includes(key)) both[key] = Math.min(a, b)
    else if (JSON.stringify(a) !== JSON.stringify(b))
      throw invalid(at, key, b, `the ${JSON.stringify(a)} beside the list`, 'Make the two equal, or leave one out.')
  }
  return both
}

function commonTypes(first: Schema, second: Schema, at: string): string[] {
  const [a, b] = [typesOf(first, at), typesOf(second, at)]
  const isIn = (type: string, types: readonly string[]): boolean =>
    types.includes(type) || (type === 'integer' && types.includes('number'))
  const types = [...new Set([...a.filter(type => isIn(type, b)), ...b.filter(type => isIn(type, a))])]
  if (types.length === 0)
    throw invalid(
      at,
      'type',
      second.type,
      `one of ${a.join(', ')}, as beside the list`,
      'Leave this schema, or the other type, out.',
    )
  return types
}

/** The keywords for objects of two schemas: all members, those that either requires. */
function bothObjects(first: Schema, second: Schema, at: string): Schema {
  const [a, b] = [propertiesOf(first, at), propertiesOf(second, at)]
  for (const name of Object.keys(b)) {
    if (!Object.hasOwn(a, name) || JSON.stringify(a[name]) === JSON.stringify(b[name])) continue
    throw invalid(
      at,
      `properties/${name}`,
      b[name],
      `the ${JSON.stringify(a[name])} beside the list`,
      'Make the two equal, or leave one out.',
    )
  }
  for (const [schema, own, other] of [
    [first, a, b],
    [second, b, a],
  ] as const) {
    // They are about the members that the properties of the same place do not name.
    const { additionalProperties: others = true } = schema
    if (others === true || Object.keys(other).every(name => Object.hasOwn(own, name))) continue
    throw invalid(
      at,
      'additionalProperties',
      others,
      'none where properties stand in two places',
      'Write all properties in one place.',
    )
  }
  const others = [first, second].map(schema => schema.additionalProperties).filter(value => value !== undefined)
  if (others.length === 2 && JSON.stringify(others[0]) !== JSON.stringify(others[1])) {
    throw invalid(
      at,
      'additionalProperties',
      others[1],
      `the ${JSON.stringify(others[0])} beside the list`,
      'Make the two equal, or leave one out.',
    )
  }
  return {
    ...(('properties' in first || 'properties' in second) && { properties: { ...a, ...b } }),
    ...(('required' in first || 'required' in second) && {
      required: [...new Set([...requiredOf(first, at), ...requiredOf(second, at)])],
    }),
    ...(others.length > 0 && { additionalProperties: others[0] }),
  }
}
