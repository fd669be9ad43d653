import { emit } from './regex/emit.ts'
import { invalidPattern } from './regex/invalid-pattern.ts'
import { PatternParser } from './regex/parse.ts'
import { findDanger } from './regex/safety.ts'

/** Longer than any pattern of a real tokenizer by far. */
const MAX_LENGTH = 20_000

/**
 * The pattern of a tokenizer's file, which HF gives to Oniguruma in Ruby's syntax, as a regular expression of JavaScript
 * with the flags g and v. Throws HEED_CONFIG_INVALID for syntax that JavaScript cannot express and for patterns that can
 * take time exponential in the length of a text.
 */
export function translatePattern(pattern: string): RegExp {
  if (pattern.length > MAX_LENGTH) throw invalidPattern(pattern, `it is longer than ${MAX_LENGTH} characters`)
  const tree = new PatternParser(pattern).parse()
  const danger = findDanger(tree)
  if (danger !== undefined) throw invalidPattern(pattern, `${danger}, which may take exponential time`)
  let groups = 0
  const source = emit(tree, () => `atomic${groups++}`)
  if (groups > 0 && /\\[1-9]/.test(source)) {
    throw invalidPattern(
      pattern,
      'it has a numbered reference besides an atomic group, which JavaScript cannot express',
    )
  }
  try {
    return new RegExp(source, 'gv')
  } catch (cause) {
    throw invalidPattern(
      pattern,
      `JavaScript refuses its translation: ${cause instanceof Error ? cause.message : cause}`,
    )
  }
}

/** A fixed text as such a regular expression. */
export function literalPattern(text: string): RegExp {
  const escaped = [...text].map(character => `\\u{${character.codePointAt(0)!.toString(16)}}`)
  return new RegExp(escaped.join(''), 'gv')
}

/** A fixed text, or a regular expression in Oniguruma's syntax; HF's form. */
export type Pattern = { readonly String: string } | { readonly Regex: string }

/** The JavaScript form of a pattern. Throws HEED_CONFIG_INVALID. */
export function compilePattern(pattern: Pattern): RegExp {
  return 'Regex' in pattern ? translatePattern(pattern.Regex) : literalPattern(pattern.String)
}

/** Flat pairs: start and end of each match of a global pattern. An empty one right behind another is none, as in Oniguruma. */
export function matchSpans(text: string, pattern: RegExp): number[] {
  const spans: number[] = []
  for (const { 0: match, index } of text.matchAll(pattern)) {
    if (match !== '' || index !== spans.at(-1)) spans.push(index, index + match.length)
  }
  return spans
}
