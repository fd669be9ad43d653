/** JSON itself (RFC 8259) as grammar rules, with bounds where a model could go on for ever. */
import {
  chars,
  choice,
  type Expression,
  optional,
  otherThan,
  type Range,
  repeat,
  rule,
  sequence,
  text,
} from './grammar.ts'

const { POSITIVE_INFINITY } = Number
const controls: Range = [0, 0x1f]
const point = (character: string): Range => [character.codePointAt(0)!, character.codePointAt(0)!]

/** A character of a string as it stands there. */
const plainCharacter: Expression = { kind: 'chars', ranges: otherThan([controls, point('"'), point('\\')]) }
const hex = chars('09', 'af', 'AF')
const surrogate = (...second: string[]): Expression =>
  sequence(text('\\u'), chars('d', 'D'), chars(...second), hex, hex)
const escapeSequence = choice(
  sequence(text('\\'), chars('"', '\\', '/', 'b', 'f', 'n', 'r', 't')),
  sequence(text('\\u'), chars('09', 'ac', 'AC', 'ef', 'EF'), repeat(hex, 3, 3)),
  sequence(text('\\u'), chars('d', 'D'), chars('07'), hex, hex),
  sequence(surrogate('89', 'ab', 'AB'), surrogate('cf', 'CF')), // one character as two
)

/** Space between tokens: none, one, or a line break with an indentation. */
const space = choice(
  sequence(),
  text(' '),
  sequence(text('\n'), choice(repeat(text(' '), 0, 20), repeat(text('\t'), 0, 8))),
)

const natural = choice(text('0'), sequence(chars('19'), repeat(chars('09'), 0, 20)))
const fraction = sequence(text('.'), repeat(chars('09'), 1, 23))
/** With one digit before the point, and below 1e308: a double holds it. */
const scientific = sequence(
  chars('09'),
  optional(fraction),
  chars('e', 'E'),
  choice(
    sequence(text('-'), repeat(chars('09'), 1, 3)),
    sequence(
      optional(text('+')),
      choice(
        repeat(chars('09'), 1, 2),
        sequence(chars('12'), repeat(chars('09'), 2, 2)),
        sequence(text('30'), chars('07')),
      ),
    ),
  ),
)

/** Rules that schemas build on; `value` is any JSON, its numbers with as many digits as JSON.stringify may write. */
export const jsonRules: ReadonlyMap<string, Expression> = new Map([
  ['space', space],
  ['character', choice(plainCharacter, escapeSequence)],
  ['string', sequence(text('"'), repeat(rule('character'), 0, POSITIVE_INFINITY), text('"'))],
  ['number', sequence(optional(text('-')), choice(sequence(natural, optional(fraction)), scientific))],
  ['object', inBraces(listOf(member(rule('string'), rule('value')), 0, POSITIVE_INFINITY))],
  ['array', inBrackets(listOf(rule('value'), 0, POSITIVE_INFINITY))],
  [
    'value',
    choice(rule('object'), rule('array'), rule('string'), rule('number'), ...['true', 'false', 'null'].map(text)),
  ],
])

export function spaced(token: string): Expression {
  return sequence(rule('space'), text(token), rule('space'))
}

export function inBraces(members: Expression): Expression {
  return sequence(text('{'), rule('space'), members, rule('space'), text('}'))
}

export function inBrackets(items: Expression): Expression {
  return sequence(text('['), rule('space'), items, rule('space'), text(']'))
}

/** "key": value */
export function member(key: Expression, value: Expression): Expression {
  return sequence(key, spaced(':'), value)
}

/** From `min` to `max` items with commas between. */
export function listOf(item: Expression, min: number, max: number): Expression {
  if (max === 0) return sequence()
  const list = sequence(item, repeat(sequence(spaced(','), item), Math.max(0, min - 1), max - 1))
  return min === 0 ? optional(list) : list
}

/** A JSON string whose content follows an expression over its characters; escaped is only what must be. */
export function stringOf(content: Expression): Expression {
  return sequence(text('"'), escaped(content), text('"'))
}

function escaped(expression: Expression): Expression {
  switch (expression.kind) {
    case 'text':
      return text(JSON.stringify(expression.text).slice(1, -1))
    case 'chars':
      return escapedChars(expression.ranges)
    case 'sequence':
      return sequence(...expression.parts.map(escaped))
    case 'choice':
      return choice(...expression.options.map(escaped))
    case 'repeat':
      return repeat(escaped(expression.of), expression.min, expression.max)
    case 'rule':
      return expression
  }
}

function escapedChars(ranges: readonly Range[]): Expression {
  const outside = otherThan(ranges)
  const plain: Expression = { kind: 'chars', ranges: otherThan([...outside, controls, point('"'), point('\\')]) }
  const special = ['"', '\\', '\n', '\r', '\t'].filter(character => {
    const [code] = point(character)
    return ranges.some(([first, last]) => first <= code && code <= last)
  })
  return choice(plain, ...special.map(character => text(JSON.stringify(character).slice(1, -1))))
}

/** A JSON string that is none of `names`: it differs from each of them at a character, or by its length. */
export function stringOtherThan(names: readonly string[]): Expression {
  return sequence(text('"'), differing(names), text('"'))
}

function differing(names: readonly string[]): Expression {
  const byFirst = new Map<string, string[]>()
  for (const name of names) {
    const [first] = name
    if (first !== undefined) byFirst.set(first, [...(byFirst.get(first) ?? []), name.slice(first.length)])
  }
  const taken = [...byFirst.keys()].map(point)
  const other: Expression = { kind: 'chars', ranges: otherThan([controls, point('"'), point('\\'), ...taken]) }
  const options: Expression[] = [
    sequence(other, repeat(rule('character'), 0, POSITIVE_INFINITY)),
    ...Array.from(byFirst, ([first, rest]) => sequence(text(JSON.stringify(first).slice(1, -1)), differing(rest))),
  ]
  return names.includes('') ? choice(...options) : choice(sequence(), ...options)
}
