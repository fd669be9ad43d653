/** Names of properties and brackets of Oniguruma that JavaScript spells otherwise; keys in lower case without separators. */
const properties: Readonly<Record<string, string>> = {
  alnum: '\\p{Alphabetic}\\p{Nd}',
  alpha: '\\p{Alphabetic}',
  ascii: '\\p{ASCII}',
  blank: '\\p{Zs}\\t',
  cntrl: '\\p{Cc}',
  digit: '\\p{Nd}',
  graph: '[^\\p{White_Space}\\p{Cc}\\p{Cn}\\p{Cs}]',
  lower: '\\p{Lowercase}',
  print: '[^\\p{Cc}\\p{Cn}\\p{Cs}\\p{Zl}\\p{Zp}]\\p{Zs}',
  punct: '\\p{P}\\p{S}',
  space: '\\p{White_Space}',
  upper: '\\p{Uppercase}',
  word: '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}',
  xdigit: '0-9A-Fa-f',
}

const wordCharacters = properties.word!

const shorthands: Readonly<Record<string, string>> = {
  s: '\\p{White_Space}',
  d: '\\p{Nd}',
  w: wordCharacters,
  h: '0-9A-Fa-f',
}

/** Outside of classes Oniguruma looks Latin-1 up in another table, where superscripts and fractions count as letters. */
const latinWordCharacters = '\u00b2\u00b3\u00b9\u00bc-\u00be'

/** JavaScript source of the set that an escape at `index` names, if it names one, and where the escape ends. */
export function characterSet(
  pattern: string,
  index: number,
  isInClass: boolean,
): { source: string; end: number } | undefined {
  const letter = pattern[index + 1] ?? ''
  const isLoneWord = letter.toLowerCase() === 'w' && !isInClass
  const shorthand = isLoneWord ? wordCharacters + latinWordCharacters : shorthands[letter.toLowerCase()]
  if (shorthand !== undefined) {
    return { source: letter === letter.toLowerCase() ? `[${shorthand}]` : `[^${shorthand}]`, end: index + 2 }
  }
  const match = /^\\([pP])(?:\{(\^?)([^}]+)\}|([A-Z]))/.exec(pattern.slice(index, index + 80))
  if (!match) return undefined
  const isNegated = (match[1] === 'P') !== (match[2] === '^')
  const source = propertySource(match[3] ?? match[4]!)
  if (source === undefined) return undefined
  return { source: isNegated ? `[^${source}]` : `[${source}]`, end: index + match[0].length }
}

/** The inside of a class for a property or POSIX bracket of this name, or undefined if there is none. */
export function propertySource(name: string): string | undefined {
  const plain = properties[name.toLowerCase().replace(/[\s_-]/g, '')]
  if (plain !== undefined) return plain
  const title = name.replace(/[A-Za-z]+/g, word => word[0]!.toUpperCase() + word.slice(1).toLowerCase())
  for (const candidate of [name, title, `Script=${name}`, `Script=${title}`]) {
    try {
      new RegExp(`\\p{${candidate}}`, 'v')
      return `\\p{${candidate}}`
    } catch {
      // Not a name that the platform knows; the next spelling may be.
    }
  }
  return undefined
}

const controls: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13, a: 7, e: 27 }

/** The code point that is written at `index`, escaped or not, and where it ends. */
export function readCodePoint(pattern: string, index: number): { code: number; end: number } {
  if (pattern[index] !== '\\') {
    const code = pattern.codePointAt(index) ?? 0
    return { code, end: index + (code > 0xffff ? 2 : 1) }
  }
  const rest = pattern.slice(index + 1, index + 12)
  const hex = /^(?:x\{([0-9A-Fa-f]{1,8})\}|x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{4}))/.exec(rest)
  if (hex) return { code: Number.parseInt((hex[1] ?? hex[2] ?? hex[3])!, 16), end: index + 1 + hex[0].length }
  const octal = /^0[0-7]{0,2}/.exec(rest)
  if (octal) return { code: Number.parseInt(octal[0], 8), end: index + 1 + octal[0].length }
  const control = controls[rest[0] ?? '']
  if (control !== undefined) return { code: control, end: index + 2 }
  const code = pattern.codePointAt(index + 1) ?? 0x5c
  return { code, end: Math.min(pattern.length, index + 1 + (code > 0xffff ? 2 : 1)) }
}
