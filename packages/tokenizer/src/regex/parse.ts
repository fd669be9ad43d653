import type { HeedError } from '../errors.ts'
import { characterSet, readCodePoint } from './escapes.ts'
import { invalidPattern } from './invalid-pattern.ts'
import { parseClass } from './parse-class.ts'
import type { Node } from './syntax.ts'

/** No pattern of a real tokenizer nests deeper; a file must not overflow the stack. */
const MAX_DEPTH = 100

interface Flags {
  readonly ignoreCase: boolean
  /** `(?m)` of Ruby: a dot matches a line break too. */
  readonly dotAll: boolean
  /** `(?x)`: white space and comments mean nothing. */
  readonly extended: boolean
}

/** Reads patterns of Oniguruma in its Ruby syntax, which HF tokenizers uses, into a tree of JavaScript's syntax. */
export class PatternParser {
  private index = 0
  private depth = 0

  constructor(private readonly pattern: string) {}

  /** Throws HEED_CONFIG_INVALID. */
  parse(): Node {
    const node = this.parseChoice({ ignoreCase: false, dotAll: false, extended: false })
    if (this.index < this.pattern.length) throw this.invalid('a closing parenthesis without an opening one')
    return node
  }

  private parseChoice(flags: Flags): Node {
    if (++this.depth > MAX_DEPTH) throw this.invalid(`groups nested deeper than ${MAX_DEPTH}`)
    const branches: Node[] = []
    let current: Node[] = []
    let active = flags
    while (this.index < this.pattern.length && this.pattern[this.index] !== ')') {
      if (this.take('|')) {
        branches.push({ kind: 'sequence', nodes: current })
        current = []
        continue
      }
      const changed = this.takeInlineFlags(active)
      if (changed) {
        active = changed
        continue
      }
      if (active.extended && this.takeExtendedSpace()) continue
      current.push(this.parseRepeats(this.parseAtom(active)))
    }
    this.depth--
    branches.push({ kind: 'sequence', nodes: current })
    return branches.length === 1 ? branches[0]! : { kind: 'choice', nodes: branches }
  }

  private parseAtom(flags: Flags): Node {
    const { pattern } = this
    switch (pattern[this.index]) {
      case '(':
        this.index++
        return this.parseGroup(flags)
      case '[': {
        const { value, end } = parseClass(pattern, this.index, flags.ignoreCase)
        this.index = end
        return { kind: 'class', value }
      }
      case '.':
        this.index++
        return raw(flags.dotAll ? '[^]' : '[^\\n]', true)
      case '^':
        this.index++
        // The start of a line, but not of an empty one after a line break that ends the text.
        return raw('(?:^|(?<=\\n)(?=[^]))', false)
      case '$':
        this.index++
        return raw('(?=\\n|$)', false)
      case '\\':
        return this.parseEscape(flags)
      case '*':
      case '+':
      case '?':
        throw this.invalid('a quantifier with nothing to repeat')
    }
    const code = pattern.codePointAt(this.index)!
    this.index += code > 0xffff ? 2 : 1
    return literal(code, flags)
  }

  private parseEscape(flags: Flags): Node {
    const { pattern } = this
    const next = pattern[this.index + 1]
    const assertion = assertions[next ?? '']
    if (assertion) {
      this.index += 2
      return raw(assertion, false)
    }
    if (next === 'R' || next === 'X') {
      this.index += 2
      return raw(next === 'R' ? '(?:\\r\\n|[\\n-\\r\\x85\\u2028\\u2029])' : '(?:\\r\\n|\\P{M}\\p{M}*|\\p{M}+)', false)
    }
    if (next === 'N' || next === 'O') {
      this.index += 2
      return raw(next === 'N' ? '[^\\n]' : '[^]', true)
    }
    const reference = /^\\(?:[1-9]\d?|k<[A-Za-z_]\w*>)/.exec(pattern.slice(this.index))
    if (reference) {
      this.index += reference[0].length
      return raw(`(?:${reference[0]})`, false)
    }
    if (next !== undefined && 'KGg'.includes(next)) throw this.invalid(`\\${next}, which JavaScript cannot express`)
    const set = characterSet(pattern, this.index, false)
    if (set) {
      this.index = set.end
      return raw(set.source, true)
    }
    const { code, end } = readCodePoint(pattern, this.index)
    this.index = end
    return literal(code, flags)
  }

  private parseGroup(flags: Flags): Node {
    const rest = this.pattern.slice(this.index)
    if (rest.startsWith('?>')) {
      this.index += 2
      const body = this.parseChoice(flags)
      this.close()
      return { kind: 'atomic', body }
    }
    if (rest.startsWith('?#')) {
      this.index = this.pattern.indexOf(')', this.index) + 1
      if (this.index === 0) throw this.invalid('a comment without end')
      return { kind: 'sequence', nodes: [] }
    }
    const opening = /^\?(?:<[=!]|[:=!]|<[A-Za-z_]\w*>)/.exec(rest)
    const scoped = /^\?([imx]*)(?:-([imx]+))?:/.exec(rest)
    let open = '('
    let inner = flags
    if (opening) {
      open = `(${opening[0]}`
      this.index += opening[0].length
    } else if (scoped) {
      open = '(?:'
      inner = changeFlags(flags, scoped[1]!, scoped[2] ?? '')
      this.index += scoped[0].length
    } else if (rest.startsWith('?')) throw this.invalid(`the group (${rest.slice(0, 3)}`)
    const body = this.parseChoice(inner)
    this.close()
    return { kind: 'group', open, body }
  }

  private close(): void {
    if (!this.take(')')) throw this.invalid('an opening parenthesis without a closing one')
  }

  private parseRepeats(atom: Node): Node {
    let node = atom
    for (;;) {
      const match = /^(?:[*+?]|\{(?:\d+(?:,\d*)?|,\d+)\})/.exec(this.pattern.slice(this.index, this.index + 20))
      if (!match) return node
      this.index += match[0].length
      const { min, max, isInterval } = boundsOf(match[0])
      if (min > max) throw this.invalid(`the quantifier ${match[0]}, whose bounds are reversed`)
      // In Ruby's syntax a{2}? is an optional a{2} and a{2}+ a repeated one, so after braces they are quantifiers again.
      const isLazy = !(isInterval && min === max) && this.take('?')
      const isPossessive = !isLazy && !isInterval && this.take('+')
      node = { kind: 'repeat', body: node, min, max, mode: isLazy ? 'lazy' : isPossessive ? 'possessive' : 'greedy' }
    }
  }

  /** `(?i)` in the middle of a group changes what follows in it. */
  private takeInlineFlags(flags: Flags): Flags | undefined {
    const match = /^\(\?([imx]*)(?:-([imx]+))?\)/.exec(this.pattern.slice(this.index, this.index + 12))
    if (!match) return undefined
    this.index += match[0].length
    return changeFlags(flags, match[1]!, match[2] ?? '')
  }

  private takeExtendedSpace(): boolean {
    const match = /^(?:\s+|#[^\n]*)/.exec(this.pattern.slice(this.index))
    if (!match) return false
    this.index += match[0].length
    return true
  }

  private take(text: string): boolean {
    if (!this.pattern.startsWith(text, this.index)) return false
    this.index += text.length
    return true
  }

  private invalid(what: string): HeedError {
    return invalidPattern(this.pattern, `it has ${what} at ${this.index}`)
  }
}

const wordCharacter = '[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\u00b2\\u00b3\\u00b9\\u00bc-\\u00be]'
const assertions: Readonly<Record<string, string>> = {
  A: '^',
  z: '$',
  Z: '(?=\\n?$)',
  b: `(?:(?<=${wordCharacter})(?!${wordCharacter})|(?<!${wordCharacter})(?=${wordCharacter}))`,
  B: `(?:(?<=${wordCharacter})(?=${wordCharacter})|(?<!${wordCharacter})(?!${wordCharacter}))`,
}

function raw(source: string, isCharacter: boolean): Node {
  return { kind: 'raw', source, isCharacter }
}

function literal(code: number, { ignoreCase }: Flags): Node {
  const parts = [[{ kind: 'range' as const, from: code, to: code }]]
  return { kind: 'class', value: { isNegated: false, parts, ignoreCase } }
}

function changeFlags(flags: Flags, on: string, off: string): Flags {
  const value = (letter: string, before: boolean) => (off.includes(letter) ? false : on.includes(letter) || before)
  return {
    ignoreCase: value('i', flags.ignoreCase),
    dotAll: value('m', flags.dotAll),
    extended: value('x', flags.extended),
  }
}

function boundsOf(quantifier: string): { min: number; max: number; isInterval: boolean } {
  if (quantifier === '*') return { min: 0, max: Infinity, isInterval: false }
  if (quantifier === '+') return { min: 1, max: Infinity, isInterval: false }
  if (quantifier === '?') return { min: 0, max: 1, isInterval: false }
  const [from, to] = quantifier.slice(1, -1).split(',')
  const min = Number(from)
  return { min, max: to === undefined ? min : to === '' ? Infinity : Number(to), isInterval: true }
}
