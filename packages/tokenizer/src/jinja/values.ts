import { Environment, type Value } from './library.ts'

/** The value of a JavaScript value. */
export const valueFrom = (value: unknown): Value => new Environment().set('value', value)

export const listOf = (values: readonly Value[]): Value => Object.assign(valueFrom([]), { value: values })

export const undefinedValue = (): Value => valueFrom(undefined)

export const isText = (value: Value): boolean => typeof value.value === 'string'

export const isList = (value: Value): boolean => Array.isArray(value.value)

export const isUndefined = ({ type }: Value): boolean => type === 'UndefinedValue'

export const isTrue = (value: Value): boolean => value.__bool__().value

const itemsIn = (value: Value): readonly Value[] => value.value as readonly Value[]
const entriesIn = (value: Value): Map<string, Value> => value.value as Map<string, Value>

/** What a loop over a value goes through: the items of a list, the keys of a dictionary, the characters of a text; else nothing. */
export function itemsOf(value: Value): readonly Value[] | undefined {
  if (isList(value)) return itemsIn(value)
  if (isText(value)) return Array.from(value.value as string, valueFrom)
  if (value.value instanceof Map) return Array.from(entriesIn(value).keys(), valueFrom)
  return isUndefined(value) ? [] : undefined
}

/** `str(value)` of Python; nothing for what is undefined, as Jinja2 prints it. */
export function pythonText(value: Value): string {
  if (isText(value)) return value.value as string
  return isUndefined(value) ? '' : representation(value)
}

/** `repr(value)` of Python. */
function representation(value: Value): string {
  const { type } = value
  if (isText(value)) return quoted(value.value as string)
  if (type === 'BooleanValue') return value.value ? 'True' : 'False'
  if (type === 'NullValue') return 'None'
  if (isUndefined(value)) return 'Undefined'
  if (type === 'FloatValue') return pythonFloat(value.value as number)
  if (isList(value)) {
    const items = itemsIn(value).map(representation)
    if (type !== 'TupleValue') return `[${items.join(', ')}]`
    return items.length === 1 ? `(${items[0]},)` : `(${items.join(', ')})`
  }
  if (value.value instanceof Map) {
    const entries = Array.from(entriesIn(value), ([key, item]) => `${quoted(key)}: ${representation(item)}`)
    return `{${entries.join(', ')}}`
  }
  return String(value.value)
}

const escapes: Record<string, string> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }

function quoted(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'"
  const escaped = text.replace(/[\\'\n\r\t]|[^ \P{Z}]|\p{C}/gu, character => {
    if (character === "'") return quote === "'" ? "\\'" : character
    return escapes[character] ?? escapedCode(character.codePointAt(0)!)
  })
  return quote + escaped + quote
}

function escapedCode(code: number): string {
  const hex = code.toString(16)
  if (code <= 0xff) return `\\x${hex.padStart(2, '0')}`
  return code <= 0xffff ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`
}

/** The shortest digits that are this number, as JavaScript's, with an exponent where Python writes one. */
function pythonFloat(number: number): string {
  if (!Number.isFinite(number)) return Number.isNaN(number) ? 'nan' : number < 0 ? '-inf' : 'inf'
  const [digits = '', exponent = ''] = number.toExponential().split('e')
  const power = Number(exponent)
  if (power < -4 || power >= 16) return `${digits}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`
  const text = Object.is(number, -0) ? '-0' : String(number)
  return text.includes('.') ? text : `${text}.0`
}

/** `a == b` of Python. */
export function isEqual(a: Value, b: Value): boolean {
  if (isList(a) && isList(b)) {
    const [left, right] = [itemsIn(a), itemsIn(b)]
    return a.type === b.type && left.length === right.length && left.every((item, i) => isEqual(item, right[i]!))
  }
  if (a.value instanceof Map && b.value instanceof Map) {
    const [left, right] = [entriesIn(a), entriesIn(b)]
    return (
      left.size === right.size &&
      Array.from(left).every(([key, item]) => isEqual(item, right.get(key) ?? undefinedValue()))
    )
  }
  const isNumber = ({ value }: Value): boolean => typeof value === 'number' || typeof value === 'boolean'
  if (isNumber(a) && isNumber(b)) return Number(a.value) === Number(b.value)
  return a.type === b.type && a.value === b.value
}
