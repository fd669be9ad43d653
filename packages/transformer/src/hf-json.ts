/** Keys whose whole numbers a JSON text writes as floats (`0.0`): JavaScript reads them as 0, and transformers 5 refuses a 0 there. */
export const wholeFloats: unique symbol = Symbol('wholeFloats')

/** The content of a config.json, with what its text tells of floats when it was read from one. */
export type HfConfig = Readonly<Record<string, unknown>> & { readonly [wholeFloats]?: readonly string[] }

/** `"key": 1.0` outside strings: in valid JSON a quote before a colon ends a key. */
const wholeFloat = /"([^"\\]+)"\s*:\s*-?\d+\.0+(?=\s*[,}\]])/g

/** Marks an object with the keys that its text writes as whole floats. */
export function withWholeFloats(json: Record<string, unknown>, text: string): HfConfig {
  const keys = new Set(Array.from(text.matchAll(wholeFloat), match => match[1]!))
  return { ...json, [wholeFloats]: [...keys] }
}

/** What no JSON string can hold unescaped stands where a float will be. */
const MARK = '\u0000float '
const marked = /"\\u0000float (-?\d+)"/g

/** Indented JSON, keys in alphabetical order as `transformers` writes them, whole numbers under `floatKeys` as `1.0`. */
export function hfJsonText(value: Readonly<Record<string, unknown>>, floatKeys: readonly string[]): string {
  const isFloat = new Set(floatKeys)
  const sorted = Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
  const text = JSON.stringify(
    sorted,
    (key, item) => (Number.isSafeInteger(item) && isFloat.has(key) ? `${MARK}${item}` : item),
    2,
  )
  return `${text.replace(marked, '$1.0')}\n`
}
