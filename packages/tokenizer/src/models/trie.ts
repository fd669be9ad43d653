import { PairTable } from './pair-table.ts'

/** Strings by their prefixes: children in one flat hash table, keyed by node and UTF-16 unit. The root is node 0. */
export class Trie {
  private readonly children = new PairTable(4096)
  private readonly values: number[] = [-1]

  /** `value` is not negative; a later one for the same string replaces it. */
  add(text: string, value: number): void {
    let node = 0
    for (let i = 0; i < text.length; i++) {
      let child = this.children.get(node, text.charCodeAt(i))
      if (child < 0) {
        child = this.values.length
        this.values.push(-1)
        this.children.set(node, text.charCodeAt(i), child)
      }
      node = child
    }
    this.values[node] = value
  }

  /** The child of a node, or -1. */
  step(node: number, unit: number): number {
    return this.children.get(node, unit)
  }

  /** The value of the string that ends at a node, or -1. */
  valueAt(node: number): number {
    return this.values[node]!
  }

  /** The node that a string ends at, or -1. */
  nodeOf(text: string): number {
    let node = 0
    for (let i = 0; i < text.length && node >= 0; i++) node = this.step(node, text.charCodeAt(i))
    return node
  }
}
