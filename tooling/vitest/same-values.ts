/**
 * Says quickly that two arrays are equal: vitest's own comparison, through all its rules, takes microseconds for each element.
 * True for typed arrays of one kind with the same bytes, and for arrays of the same primitive values; else the question is left
 * to vitest.
 */
export function haveSameValues(a: unknown, b: unknown): true | undefined {
  if (ArrayBuffer.isView(a) && ArrayBuffer.isView(b)) {
    return a.constructor === b.constructor && bytesOf(a).equals(bytesOf(b)) ? true : undefined
  }
  if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return undefined
  for (let i = 0; i < a.length; i++) if (!isPrimitive(a[i]) || !Object.is(a[i], b[i])) return undefined
  return hasOnlyElements(a) && hasOnlyElements(b) ? true : undefined
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength)

const isPrimitive = (value: unknown): boolean => ['number', 'string', 'boolean', 'bigint'].includes(typeof value)

const hasOnlyElements = (array: unknown[]): boolean => Object.keys(array).length === array.length
