import { HeedError } from '../errors.ts'

const MAX_SHOWN = 80

/**
 * A value from a file as a message shows it: as JSON, so that control characters are harmless, cut at 80 characters.
 * Takes little time whatever the value: one that holds itself, or shares its parts a million times, is cut as well.
 */
export function shown(value: unknown): string {
  const text = asText(value, MAX_SHOWN)
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}...` : text
}

/** JSON of at least the first `budget` characters of a value. */
function asText(value: unknown, budget: number): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, budget + 1))
  if (typeof value !== 'object' || value === null) return String(value)
  const isList = Array.isArray(value)
  let text = isList ? '[' : '{'
  for (const key in value) {
    if (text.length > budget) break
    if (text.length > 1) text += ','
    if (!isList) text += `${asText(key, budget - text.length)}:`
    text += asText(value[key as keyof typeof value], budget - text.length)
  }
  return text + (isList ? ']' : '}')
}

/**
 * `JSON.parse` that refuses an object with the same key twice, of which it would keep the last without a word.
 * Throws HEED_FILE_INVALID.
 */
export function parseStrictJson(text: string, where: string): unknown {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new HeedError('HEED_FILE_INVALID', `${where}: text is ${shown(text)}, expected JSON. The file is damaged.`, {
      cause,
    })
  }
  const duplicate = duplicateKey(text)
  if (duplicate === undefined) return value
  throw new HeedError('HEED_FILE_INVALID', `${where}: key ${shown(duplicate)} appears twice, expected each key once.`)
}

/** The first key that an object in valid JSON repeats. */
function duplicateKey(text: string): string | undefined {
  const keysOfOpen: (Set<string> | undefined)[] = [] // a set for each open object, undefined for each open array
  let isKey = false
  const token = /["{}[\],]/g
  for (let match = token.exec(text); match; match = token.exec(text)) {
    const keys = keysOfOpen.at(-1)
    switch (match[0]) {
      case '{':
        keysOfOpen.push(new Set())
        isKey = true
        break
      case '[':
        keysOfOpen.push(undefined)
        isKey = false
        break
      case ',':
        isKey = keys !== undefined
        break
      case '"': {
        const end = endOfString(text, match.index + 1)
        if (isKey) {
          const key: string = JSON.parse(text.slice(match.index, end))
          if (keys?.has(key)) return key
          keys?.add(key)
          isKey = false
        }
        token.lastIndex = end
        break
      }
      default:
        keysOfOpen.pop()
        isKey = false
    }
  }
  return undefined
}

/** The index behind the closing quote of the string whose content begins at `start`. */
function endOfString(text: string, start: number): number {
  let at = start
  while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1
  return at + 1
}

/** Whether a JSON value is an object, not null and not an array. */
export function isJsonObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
