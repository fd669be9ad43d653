import { HeedError } from '@heed/tensor-backend'
import {
  choice,
  type Expression,
  type Grammar,
  otherThan,
  type Range,
  repeat,
  rule,
  sequence,
  text,
} from './grammar.ts'
import { TextReader } from './text-reader.ts'

/**
 * Reads a grammar in GBNF, the notation of llama.cpp: `root ::= "yes" | [0-9]{1,3} item*`, a rule a line, `#` before comments.
 * Throws HEED_ARGUMENT_INVALID.
 */
export function parseGbnf(source: string): Grammar {
  return new GbnfReader(source).read()
}

const escapes: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  '"': '"',
  '\\': '\\',
  '[': '[',
  ']': ']',
}
const hexDigits: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 }

class GbnfReader extends TextReader {
  read(): Grammar {
    const rules = new Map<string, Expression>()
    this.#space()
    while (this.at < this.source.length) {
      const name = this.#name() ?? this.#fail('the name of a rule')
      this.#space()
      if (rules.has(name)) this.#fail(`another name: ${name} is a rule already`)
      if (!this.take('::=')) this.#fail('::=')
      rules.set(name, this.#alternatives())
      this.#space()
    }
    return { root: 'root', rules }
  }

  #alternatives(): Expression {
    const options = [this.#sequence()]
    while (this.take('|')) options.push(this.#sequence())
    return options.length === 1 ? options[0]! : choice(...options)
  }

  /** Parts one after the other, on as many lines as there are until the next rule. */
  #sequence(): Expression {
    const parts: Expression[] = []
    this.#space()
    for (let part = this.#item(); part; part = this.#item()) {
      parts.push(this.#repeated(part))
      this.#space()
    }
    return parts.length === 1 ? parts[0]! : sequence(...parts)
  }

  #item(): Expression | undefined {
    if (this.take('"')) return text(this.#literal())
    if (this.take('[')) return this.#class()
    if (this.take('.')) return { kind: 'chars', ranges: otherThan([]) }
    if (this.take('(')) {
      const inner = this.#alternatives()
      if (!this.take(')')) this.#fail(')')
      return inner
    }
    const name = this.match(/[A-Za-z][\w-]*(?![\w-]|\s*::=)/y)?.[0]
    return name === undefined ? undefined : rule(name)
  }

  #repeated(part: Expression): Expression {
    this.#space()
    if (this.take('*')) return repeat(part, 0, Number.POSITIVE_INFINITY)
    if (this.take('+')) return repeat(part, 1, Number.POSITIVE_INFINITY)
    if (this.take('?')) return repeat(part, 0, 1)
    const counts = this.match(/\{\s*(\d+)\s*(?:(,)\s*(\d*)\s*)?\}/y)
    if (!counts) return part
    const min = Number(counts[1])
    return repeat(part, min, counts[2] ? (counts[3] ? Number(counts[3]) : Number.POSITIVE_INFINITY) : min)
  }

  #literal(): string {
    let value = ''
    while (!this.take('"')) value += this.#character()
    return value
  }

  #class(): Expression {
    const isNegated = this.take('^')
    const ranges: Range[] = []
    while (!this.take(']')) {
      const first = this.#character().codePointAt(0)!
      const isRange = this.source[this.at] === '-' && this.source[this.at + 1] !== ']' && this.take('-')
      ranges.push([first, isRange ? this.#character().codePointAt(0)! : first])
    }
    return { kind: 'chars', ranges: isNegated ? otherThan(ranges) : ranges }
  }

  /** A character of a literal or class, escapes read. */
  #character(): string {
    const character = this.source.slice(this.at).match(/^[^\n]/u)?.[0] ?? this.#fail('the end of the quotation')
    this.at += character.length
    if (character !== '\\') return character
    const kind = this.match(/[^\n]/uy)?.[0] ?? ''
    if (kind in escapes) return escapes[kind]!
    const digits = hexDigits[kind] && this.match(new RegExp(`[0-9A-Fa-f]{${hexDigits[kind]}}`, 'y'))?.[0]
    const point = digits ? Number.parseInt(digits, 16) : this.#fail('an escape such as \\n or \\x41')
    return point <= 0x10ffff ? String.fromCodePoint(point) : this.#fail('a code point up to 10FFFF')
  }

  #name(): string | undefined {
    return this.match(/[A-Za-z][\w-]*/y)?.[0]
  }

  #space(): void {
    this.match(/(?:\s|#[^\n]*)*/y)
  }

  #fail(expected: string): never {
    const line = this.source.slice(0, this.at).split('\n').length
    const found = JSON.stringify(this.source.slice(this.at).match(/^\S+|^./)?.[0] ?? 'the end')
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `grammar: line ${line} has ${found}, expected ${expected}. Mend the grammar.`,
    )
  }
}
