import type { RequestFields } from './request-fields.ts'

/** Texts or token lists of one request. */
const MAX_TEXTS = 256

/** A text, ids of one, or a list of either, as a list. Throws RequestError. */
export function readTexts(fields: RequestFields, name: string): (string | readonly number[])[] {
  const value = fields.required(name, fields.get(name))
  const isIds = (item: unknown): boolean =>
    Array.isArray(item) && item.length > 0 && item.every(id => Number.isSafeInteger(id) && id >= 0)
  const list: unknown[] = typeof value === 'string' || isIds(value) ? [value] : Array.isArray(value) ? value : []
  const isValid =
    list.length > 0 && list.length <= MAX_TEXTS && list.every(item => typeof item === 'string' || isIds(item))
  if (isValid) return list as (string | number[])[]
  throw fields.invalid(name, `a text, token ids, or a list of at most ${MAX_TEXTS} of them`)
}
