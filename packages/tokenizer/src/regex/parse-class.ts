import { characterSet, propertySource, readCodePoint } from './escapes.ts'
import { invalidPattern } from './invalid-pattern.ts'
import type { CharacterClass, ClassItem } from './syntax.ts'

/** Reads the class that opens at `start`. Throws HEED_CONFIG_INVALID. */
export function parseClass(
  pattern: string,
  start: number,
  ignoreCase: boolean,
  depth = 0,
): { value: CharacterClass; end: number } {
  if (depth > 20) throw invalidPattern(pattern, `it has classes nested deeper than 20 at ${start}`)
  let index = start + 1
  const isNegated = pattern[index] === '^'
  if (isNegated) index++
  const parts: ClassItem[][] = [[]]
  const first = index
  for (;;) {
    const items = parts.at(-1)!
    if (index >= pattern.length) throw invalidPattern(pattern, `it has a class without end at ${start}`)
    if (pattern[index] === ']' && index > first) return { value: { isNegated, parts, ignoreCase }, end: index + 1 }
    if (pattern.startsWith('&&', index)) {
      parts.push([])
      index += 2
      continue
    }
    const bracket = /^\[:(\^?)([a-z]+):\]/.exec(pattern.slice(index, index + 20))
    const bracketSource = bracket && propertySource(bracket[2]!)
    if (bracket && bracketSource) {
      items.push({ kind: 'set', source: bracket[1] ? `[^${bracketSource}]` : `[${bracketSource}]` })
      index += bracket[0].length
      continue
    }
    if (pattern[index] === '[') {
      const nested = parseClass(pattern, index, ignoreCase, depth + 1)
      items.push({ kind: 'class', value: nested.value })
      index = nested.end
      continue
    }
    const set = pattern[index] === '\\' ? characterSet(pattern, index, true) : undefined
    if (set) {
      items.push({ kind: 'set', source: set.source })
      index = set.end
      continue
    }
    const from = readClassCodePoint(pattern, index)
    index = from.end
    const isRange = pattern[index] === '-' && index + 1 < pattern.length && pattern[index + 1] !== ']'
    const upper = isRange && !isSetAt(pattern, index + 1) ? readClassCodePoint(pattern, index + 1) : undefined
    if (upper) index = upper.end
    const to = upper?.code ?? from.code
    if (to < from.code) throw invalidPattern(pattern, `it has a range whose bounds are reversed at ${index}`)
    items.push({ kind: 'range', from: from.code, to })
  }
}

function isSetAt(pattern: string, index: number): boolean {
  return pattern[index] === '[' || (pattern[index] === '\\' && characterSet(pattern, index, true) !== undefined)
}

/** In a class `\b` is the backspace. */
function readClassCodePoint(pattern: string, index: number): { code: number; end: number } {
  return pattern.startsWith('\\b', index) ? { code: 8, end: index + 2 } : readCodePoint(pattern, index)
}
