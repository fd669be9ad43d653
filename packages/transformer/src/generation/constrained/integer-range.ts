import { chars, choice, type Expression, empty, repeat, sequence, text } from './grammar.ts'

/** Most digits of an integer: all of them are exact in a double. */
const MAX_DIGITS = 15
const digit = chars('09')
const digits = (count: number): Expression => repeat(digit, count, count)
const next = (character: string): string => String.fromCharCode(character.charCodeAt(0) + 1)
const previous = (character: string): string => String.fromCharCode(character.charCodeAt(0) - 1)

/** The decimal forms of integers from `min` to `max`, which may be infinite. */
export function integersBetween(min: number, max: number): Expression {
  const options: Expression[] = []
  if (min < 0) options.push(sequence(text('-'), naturalsBetween(Math.max(1, -max), -min)))
  if (max >= 0) options.push(naturalsBetween(Math.max(0, min), max))
  return options.length === 1 ? options[0]! : choice(...options)
}

/** 0 <= low <= high. */
function naturalsBetween(low: number, high: number): Expression {
  const options: Expression[] = []
  const last = high === Number.POSITIVE_INFINITY ? 10 ** MAX_DIGITS - 1 : high
  for (let first = low; first <= last; ) {
    const end = Math.min(last, 10 ** String(first).length - 1) // the last of as many digits
    options.push(sameLength(String(first), String(end)))
    first = end + 1
  }
  return choice(...options)
}

/** Digits from `low` to `high`, which are of one length. */
function sameLength(low: string, high: string): Expression {
  if (low === '') return empty
  if (/^0+$/.test(low) && /^9+$/.test(high)) return digits(low.length)
  const [first, last, rest] = [low[0]!, high[0]!, low.length - 1]
  if (first === last) return sequence(text(first), sameLength(low.slice(1), high.slice(1)))
  const options = [
    sequence(text(first), sameLength(low.slice(1), '9'.repeat(rest))),
    sequence(text(last), sameLength('0'.repeat(rest), high.slice(1))),
  ]
  if (next(first) < last) options.push(sequence(chars(next(first) + previous(last)), digits(rest)))
  return choice(...options)
}
