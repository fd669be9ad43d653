import type { MergePair } from './bpe.ts'
import { PairTable } from './pair-table.ts'

const byteToken = /^<0x[0-9A-F]{2}>$/

/**
 * Where a text can be cut before merging without changing the result: between two characters that no merge joins, its
 * left side ending with the one and its right side beginning with the other. A text without pre-tokenization falls into
 * words by this, whose tokens can be remembered.
 */
export class MergeBoundaries {
  private readonly joins = new PairTable(4096)
  /** Whether tokens of bytes never merge, so that characters spelled in bytes stand alone. */
  readonly areBytesAlone: boolean

  constructor(merges: readonly MergePair[]) {
    let areBytesAlone = true
    for (const [left, right] of merges) {
      this.joins.set(left.charCodeAt(left.length - 1), right.charCodeAt(0), 1)
      if (byteToken.test(left) || byteToken.test(right)) areBytesAlone = false
    }
    this.areBytesAlone = areBytesAlone
  }

  /** Whether some merge may join two UTF-16 units; the halves of a surrogate pair always belong together. */
  mayJoin(left: number, right: number): boolean {
    return this.joins.get(left, right) >= 0 || (left >= 0xd800 && left <= 0xdbff)
  }
}
