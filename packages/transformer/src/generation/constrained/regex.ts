import { HeedError } from '@heed/tensor-backend'
import { chars, choice, type Expression, empty, otherThan, type Range, repeat, sequence } from './grammar.ts'
import { TextReader } from './text-reader.ts'

const points = (...ranges: string[]): readonly Range[] => chars(...ranges).ranges

/** What \d and the like stand for in JavaScript. */
const classes: Readonly<Record<string, readonly Range[]>> = {
  d: points('09'),
  w: points('az', 'AZ', '09', '_'),
  s: points('\t\r', ' ', '\u00a0', '\u1680', '\u2000\u200a', '\u2028\u2029', '\u202f', '\u205f', '\u3000', '\ufeff'),
}
const controls: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', f: '\f', v: '\v', 0: '\0' }
const lineEnds = points('\n', '\r', '\u2028\u2029')

export interface Pattern {
  expression: Expression
  /** Whether it begins with ^, and ends with $. */
  isAnchoredAtStart: boolean
  isAnchoredAtEnd: boolean
}

/**
 * Reads a regular expression of JavaScript, of which only what is regular: no look-around, back-references or word borders, and
 * anchors only at the ends. Throws HEED_ARGUMENT_INVALID.
 */
export function parseRegex(source: string): Pattern {
  try {
    new RegExp(source, 'u')
  } catch (cause) {
    throw invalid(source, `is not one (${(cause as Error).message})`, cause)
  }
  const isAnchoredAtStart = source.startsWith('^')
  const isAnchoredAtEnd = /(?<!\\)(?:\\\\)*\$$/.test(source)
  const inner = source.slice(isAnchoredAtStart ? 1 : 0, isAnchoredAtEnd ? -1 : undefined)
  const isSplit = (isAnchoredAtStart || isAnchoredAtEnd) && splitsAtTop(inner)
  if (isSplit) throw invalid(source, 'anchors one of its alternatives only; put the alternatives in (?:...)')
  return { expression: new RegexReader(inner, source).read(), isAnchoredAtStart, isAnchoredAtEnd }
}

function invalid(source: string, reason: string, cause?: unknown): HeedError {
  const message = `regex: ${JSON.stringify(source)} ${reason}, expected a regular expression without look-around and back-references.`
  return new HeedError('HEED_ARGUMENT_INVALID', message, cause === undefined ? {} : { cause })
}

/** Whether there is a | outside groups and classes. */
function splitsAtTop(source: string): boolean {
  let depth = 0
  for (const [part] of source.matchAll(/\\.|\[(?:\\.|[^\]])*\]|./gsu)) {
    if (part === '(') depth += 1
    else if (part === ')') depth -= 1
    else if (part === '|' && depth === 0) return true
  }
  return false
}

/** The source is valid: it was compiled before. */
class RegexReader extends TextReader {
  constructor(
    source: string,
    private readonly whole: string,
  ) {
    super(source)
  }

  read(): Expression {
    const options = [this.#sequence()]
    while (this.take('|')) options.push(this.#sequence())
    return options.length === 1 ? options[0]! : choice(...options)
  }

  #sequence(): Expression {
    const parts: Expression[] = []
    while (this.at < this.source.length && this.source[this.at] !== '|' && this.source[this.at] !== ')') {
      parts.push(this.#repeated(this.#atom()))
    }
    return parts.length === 1 ? parts[0]! : sequence(...parts)
  }

  #atom(): Expression {
    if (this.take('(')) {
      if (/^\?(?:[=!]|<[=!])/.test(this.source.slice(this.at))) throw invalid(this.whole, 'looks around')
      this.match(/\?(?::|<[^>]*>)/y)
      const inner = this.read()
      this.take(')')
      return inner
    }
    if (this.take('[')) return { kind: 'chars', ranges: this.#class() }
    if (this.take('.')) return { kind: 'chars', ranges: otherThan(lineEnds) }
    if (/^[\^$]/.test(this.source.slice(this.at))) throw invalid(this.whole, 'has an anchor in its midst')
    return { kind: 'chars', ranges: this.#character() }
  }

  #class(): Range[] {
    const isNegated = this.take('^')
    const ranges: Range[] = []
    while (!this.take(']')) {
      const [first, ...more] = this.#character()
      const isRange = this.source[this.at] === '-' && this.source[this.at + 1] !== ']' && this.take('-')
      ranges.push(...(isRange ? [[first![0], this.#character()[0]![1]] as const] : [first!, ...more]))
    }
    return isNegated ? otherThan(ranges) : ranges
  }

  /** The characters that one character of the source, or one escape, stands for. */
  #character(): readonly Range[] {
    const character = this.match(/./suy)![0]
    if (character !== '\\') return points(character)
    const kind = this.match(/./suy)![0]
    const known = classes[kind] ?? (classes[kind.toLowerCase()] && otherThan(classes[kind.toLowerCase()]!))
    if (known) return known
    if (kind in controls) return points(controls[kind]!)
    if (/[1-9bBkpPc]/.test(kind)) throw invalid(this.whole, `has \\${kind}`)
    const digits = kind === 'x' ? /[0-9A-Fa-f]{2}/y : kind === 'u' ? /\{[0-9A-Fa-f]+\}|[0-9A-Fa-f]{4}/y : undefined
    const hex = digits && this.match(digits)![0].replace(/[{}]/g, '')
    return points(hex ? String.fromCodePoint(Number.parseInt(hex, 16)) : kind)
  }

  #repeated(atom: Expression): Expression {
    const found = this.match(/(?:([*+?])|\{(\d+)(?:(,)(\d*))?\})\??/y)
    if (!found) return atom
    const [, sign, low, comma, high] = found
    if (sign) return repeat(atom, sign === '+' ? 1 : 0, sign === '?' ? 1 : Number.POSITIVE_INFINITY)
    const max = comma ? (high ? Number(high) : Number.POSITIVE_INFINITY) : Number(low)
    return max === 0 ? empty : repeat(atom, Number(low), max)
  }
}
