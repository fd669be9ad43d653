/**
 * A value of a column file as Python's `to_list()` would give it: 64-bit integers as numbers, lists as arrays; bytes and dates
 * stay.
 */
export function plainValue(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value)
  if (Array.isArray(value)) return value.map(plainValue)
  if (ArrayBuffer.isView(value) && !(value instanceof Uint8Array)) {
    return Array.from(value as unknown as ArrayLike<number | bigint>, Number)
  }
  if (value && typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype) {
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, plainValue(part)]))
  }
  return value
}
