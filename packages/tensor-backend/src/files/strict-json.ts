import { HeedError } from '../errors.ts'

/** A value from a file as a message shows it: quoted, so that control characters are harmless, and cut at 80 characters. */
export function shown(value: unknown): string {
  if (typeof value === 'number') return String(value)
  const text = JSON.stringify(typeof value === 'string' ? value.slice(0, 80) : value) ?? String(value)
  const isCut = text.length > 80 || (typeof value === 'string' && value.length > 80)
  return isCut ? `${text.slice(0, 80)}...` : text
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
