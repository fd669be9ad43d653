import { HeedError } from '@heed/tensor-backend'
import { show } from '../checks.ts'

const arrayTypes = {
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
}

/** A row as JSON, which also keeps typed arrays, dates, big integers and numbers that are not finite. Throws HEED_ARGUMENT_INVALID. */
export function rowToText(row: unknown): string {
  return JSON.stringify(encode(row))
}

/** Inverse of `rowToText`. Throws a SyntaxError. */
export function rowFromText(text: string): unknown {
  return decode(JSON.parse(text))
}

// What JSON does not know becomes an object with one key that begins with $; an object of the user's with such a key is wrapped.
function encode(value: unknown): unknown {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value
  if (typeof value === 'number')
    return Number.isFinite(value) && !Object.is(value, -0)
      ? value
      : { $number: Object.is(value, -0) ? '-0' : String(value) }
  if (typeof value === 'bigint') return { $bigint: String(value) }
  if (value instanceof Date) return { $date: value.getTime() }
  if (Array.isArray(value)) return value.map(encode)
  if (ArrayBuffer.isView(value) && value.constructor.name in arrayTypes) {
    const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
    return { $array: [value.constructor.name, toBase64(bytes)] }
  }
  if (typeof value === 'object' && [Object.prototype, null].includes(Object.getPrototypeOf(value))) {
    const entries = Object.entries(value).filter(([, part]) => part !== undefined)
    const encoded = Object.fromEntries(entries.map(([key, part]) => [key, encode(part)]))
    return entries.some(([key]) => key.startsWith('$')) ? { $object: encoded } : encoded
  }
  throw new HeedError(
    'HEED_ARGUMENT_INVALID',
    `Dataset.map: a row holds ${show(value)}, expected what a file can keep: text, numbers, dates, lists, typed arrays and plain objects. ` +
      'Change the row, or leave out cacheFile and cacheFolder.',
  )
}

function decode(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(decode)
  if (typeof value !== 'object' || value === null) return value
  const { $number, $bigint, $date, $array, $object } = value as { [key: string]: unknown }
  if (typeof $number === 'string') return Number($number)
  if (typeof $bigint === 'string') return BigInt($bigint)
  if (typeof $date === 'number') return new Date($date)
  if (Array.isArray($array)) {
    const [name, text] = $array as [keyof typeof arrayTypes, string]
    return new arrayTypes[name](fromBase64(text).buffer)
  }
  const parts = Object.entries(($object ?? value) as object)
  return Object.fromEntries(parts.map(([key, part]) => [key, decode(part)]))
}

function toBase64(bytes: Uint8Array): string {
  let letters = ''
  for (let at = 0; at < bytes.length; at += 8192) letters += String.fromCharCode(...bytes.subarray(at, at + 8192))
  return btoa(letters)
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), letter => letter.charCodeAt(0))
}
