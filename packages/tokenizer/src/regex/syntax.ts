/** What a class `[...]` holds. */
export type ClassItem =
  | { readonly kind: 'range'; readonly from: number; readonly to: number }
  /** A set written in JavaScript's own syntax, as `\p{L}`. */
  | { readonly kind: 'set'; readonly source: string }
  | { readonly kind: 'class'; readonly value: CharacterClass }

/** `parts` are intersected (`&&`), the items of a part are joined. */
export interface CharacterClass {
  readonly isNegated: boolean
  readonly parts: readonly (readonly ClassItem[])[]
  readonly ignoreCase: boolean
}

/** A regular expression as a tree. */
export type Node =
  | { readonly kind: 'class'; readonly value: CharacterClass }
  /** A piece of JavaScript syntax that matches one code point or none, as `\p{L}` or an assertion. */
  | { readonly kind: 'raw'; readonly source: string; readonly isCharacter: boolean }
  | { readonly kind: 'sequence'; readonly nodes: readonly Node[] }
  | { readonly kind: 'choice'; readonly nodes: readonly Node[] }
  /** `open` is the JavaScript that opens the group: `(?:`, `(`, `(?<name>`, `(?=`, `(?!`, `(?<=`, `(?<!`. */
  | { readonly kind: 'group'; readonly open: string; readonly body: Node }
  | { readonly kind: 'atomic'; readonly body: Node }
  | {
      readonly kind: 'repeat'
      readonly body: Node
      readonly min: number
      readonly max: number
      readonly mode: 'greedy' | 'lazy' | 'possessive'
    }
