interface TrieNode<T> {
  readonly children: Map<number, TrieNode<T>>
  value: T | undefined
}

export interface Match<T> {
  readonly value: T
  readonly start: number
  readonly end: number
}

/** Finds fixed strings in a text: leftmost, the longest among those that start at one place. */
export class TokenMatcher<T> {
  private readonly root: TrieNode<T> = { children: new Map(), value: undefined }
  /** Finds the places where some string may start, at the speed of the platform's regular expressions. */
  private readonly firstUnits: RegExp | undefined

  constructor(strings: readonly (readonly [text: string, value: T])[]) {
    for (const [text, value] of strings) {
      let node = this.root
      for (let i = 0; i < text.length; i++) {
        let child = node.children.get(text.charCodeAt(i))
        if (!child) {
          child = { children: new Map(), value: undefined }
          node.children.set(text.charCodeAt(i), child)
        }
        node = child
      }
      if (text !== '') node.value = value
    }
    const units = [...this.root.children.keys()]
    const escaped = units.map(unit => `\\u${unit.toString(16).padStart(4, '0')}`)
    if (units.length > 0) this.firstUnits = new RegExp(`[${escaped.join('')}]`, 'g')
  }

  /** Whether there is nothing to find. */
  get isEmpty(): boolean {
    return !this.firstUnits
  }

  /** The first match at or behind `from`. */
  next(text: string, from: number): Match<T> | undefined {
    const pattern = this.firstUnits
    if (!pattern) return undefined
    pattern.lastIndex = from
    while (pattern.test(text)) {
      const match = this.longestAt(text, pattern.lastIndex - 1)
      if (match) return match
    }
    return undefined
  }

  private longestAt(text: string, start: number): Match<T> | undefined {
    let node: TrieNode<T> | undefined = this.root
    let best: Match<T> | undefined
    for (let i = start; node; i++) {
      if (node.value !== undefined) best = { value: node.value, start, end: i }
      node = node.children.get(text.charCodeAt(i))
    }
    return best
  }
}
