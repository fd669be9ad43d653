import type { CharacterClass, ClassItem, Node } from './syntax.ts'

/** JavaScript source, for the flag v, of a tree. `newGroupName` names the groups that the source must refer to. */
export function emit(node: Node, newGroupName: () => string): string {
  switch (node.kind) {
    case 'raw':
      return node.source
    case 'class':
      return emitClass(node.value)
    case 'sequence':
      return node.nodes.map(child => emit(child, newGroupName)).join('')
    case 'choice':
      return node.nodes.map(child => emit(child, newGroupName)).join('|')
    case 'group':
      return `${node.open}${emit(node.body, newGroupName)})`
    case 'atomic':
      return emitAtomic(emit(node.body, newGroupName), newGroupName)
    case 'repeat':
      return emitRepeat(node, newGroupName)
  }
}

/** What a lookahead has matched stays matched: `(?=(X))\1` is `(?>X)`. */
function emitAtomic(body: string, newGroupName: () => string): string {
  const name = newGroupName()
  return `(?:(?=(?<${name}>${body}))\\k<${name}>)`
}

function emitRepeat(node: Extract<Node, { kind: 'repeat' }>, newGroupName: () => string): string {
  const { body, min, max, mode } = node
  const isCharacter = body.kind === 'class' || (body.kind === 'raw' && body.isCharacter)
  const inner = emit(body, newGroupName)
  const atom = isCharacter || body.kind === 'group' ? inner : `(?:${inner})`
  const quantifier = quantifierOf(min, max)
  if (mode !== 'possessive') return `${atom}${quantifier}${mode === 'lazy' ? '?' : ''}`
  // Of one character, X++ is X+(?!X): giving one back would leave an X behind, which is forbidden.
  if (!isCharacter) return emitAtomic(`${atom}${quantifier}`, newGroupName)
  return max === 1 ? `(?:${atom}|(?!${atom}))` : `${atom}${quantifier}(?!${atom})`
}

function quantifierOf(min: number, max: number): string {
  if (max === Infinity) return min === 0 ? '*' : min === 1 ? '+' : `{${min},}`
  if (min === 0 && max === 1) return '?'
  return min === max ? `{${min}}` : `{${min},${max}}`
}

function emitClass({ isNegated, parts, ignoreCase }: CharacterClass): string {
  const [only] = parts
  if (!isNegated && parts.length === 1 && only!.length === 1) {
    const item = only![0]!
    if (item.kind === 'set') return item.source
    if (item.kind === 'range' && item.from === item.to && !ignoreCase) return escapeCode(item.from)
  }
  const sources = parts.map(items => items.map(item => emitItem(item, ignoreCase)).join(''))
  const inside = sources.length === 1 ? sources[0]! : sources.map(source => `[${source}]`).join('&&')
  return `[${isNegated ? '^' : ''}${inside}]`
}

function emitItem(item: ClassItem, ignoreCase: boolean): string {
  if (item.kind === 'set') return item.source
  if (item.kind === 'class') return emitClass(item.value)
  const { from, to } = item
  const range = from === to ? escapeCode(from) : `${escapeCode(from)}-${escapeCode(to)}`
  return ignoreCase ? range + otherCases(from, to) : range
}

/** Wider ranges hold whole alphabets, both cases among them. */
const WIDEST_FOLDED_RANGE = 1024

/** The other cases of the characters of a range, as Unicode folds single characters: k also matches the Kelvin sign. */
function otherCases(from: number, to: number): string {
  if (to - from > WIDEST_FOLDED_RANGE) return ''
  const others = new Set<string>()
  for (let code = from; code <= to; code++) {
    const character = String.fromCodePoint(code)
    const extra = foldsTo[character.toLowerCase()] ?? []
    for (const other of [character.toLowerCase(), character.toUpperCase(), ...extra]) {
      const otherCode = other.codePointAt(0)!
      const isSingle = other.length === (otherCode > 0xffff ? 2 : 1)
      if (isSingle && (otherCode < from || otherCode > to)) others.add(escapeCode(otherCode))
    }
  }
  return [...others].join('')
}

/** Characters whose lower case is another letter's own, which case conversion alone does not find from that letter. */
const foldsTo: Readonly<Record<string, readonly string[]>> = {
  k: ['\u212a'],
  s: ['\u017f'],
  '\u00e5': ['\u212b'],
  '\u017f': ['s'],
  '\u03c3': ['\u03c2'],
  '\u03c2': ['\u03c3'],
  '\u03c9': ['\u2126'],
  '\u03bc': ['\u00b5'],
  '\u00b5': ['\u03bc'],
}

function escapeCode(code: number): string {
  const isPlain = (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a)
  return isPlain ? String.fromCharCode(code) : `\\u{${code.toString(16)}}`
}
