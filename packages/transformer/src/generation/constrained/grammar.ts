/** Grammars as data: what gbnf.ts, regex.ts and json-schema.ts make, and automaton.ts runs. */

/** Code points, first and last included. */
export type Range = readonly [first: number, last: number]

/** What a text must look like. */
export type Expression =
  | { kind: 'text'; text: string }
  /** One character out of ranges. */
  | { kind: 'chars'; ranges: readonly Range[] }
  /** The rule of that name. */
  | { kind: 'rule'; name: string }
  | { kind: 'sequence'; parts: readonly Expression[] }
  | { kind: 'choice'; options: readonly Expression[] }
  | { kind: 'repeat'; of: Expression; min: number; max: number }

/** Rules by name; a text follows the grammar when it follows `root`. */
export interface Grammar {
  root: string
  rules: ReadonlyMap<string, Expression>
}

export const text = (value: string): Expression => ({ kind: 'text', text: value })
export const rule = (name: string): Expression => ({ kind: 'rule', name })
export const sequence = (...parts: readonly Expression[]): Expression => ({ kind: 'sequence', parts })
export const choice = (...options: readonly Expression[]): Expression => ({ kind: 'choice', options })
export const empty: Expression = sequence()

/** `max` may be Infinity. */
export const repeat = (of: Expression, min: number, max: number): Expression => ({ kind: 'repeat', of, min, max })
export const optional = (of: Expression): Expression => repeat(of, 0, 1)

const LAST_CODE_POINT = 0x10ffff

/** Characters by ranges of strings, as in `chars('az', '09', '_')`. */
export const chars = (...ranges: readonly string[]): Extract<Expression, { kind: 'chars' }> => ({
  kind: 'chars',
  ranges: ranges.map(range => {
    const points = Array.from(range, character => character.codePointAt(0)!)
    return [points[0]!, points.at(-1)!]
  }),
})

/** All characters outside ranges. */
export function otherThan(ranges: readonly Range[]): Range[] {
  const others: Range[] = []
  let next = 0
  for (const [first, last] of [...ranges].sort(([a], [b]) => a - b)) {
    if (first > next) others.push([next, first - 1])
    next = Math.max(next, last + 1)
  }
  if (next <= LAST_CODE_POINT) others.push([next, LAST_CODE_POINT])
  return others
}
