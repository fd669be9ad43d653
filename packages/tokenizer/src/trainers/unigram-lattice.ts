import { Trie } from '../models/trie.ts'
import type { ScoredToken } from '../models/unigram.ts'
import { unitsAt } from '../normalized-text.ts'

/** How much worse than the worst piece an unknown character is, as in SentencePiece. */
const UNKNOWN_PENALTY = 10

/** Beyond this difference the smaller of two log probabilities adds nothing to the larger. */
const NEGLIGIBLE = 50

function logSumExp(x: number, y: number): number {
  const least = Math.min(x, y)
  const most = Math.max(x, y)
  return most > least + NEGLIGIBLE ? most : most + Math.log(Math.exp(least - most) + 1)
}

/** All ways to cut words into the pieces of one vocabulary. Piece 0 is the unknown character. */
export class UnigramLattice {
  private readonly trie = new Trie()
  private readonly scores: Float64Array
  private readonly unknownScore: number
  // The edges of the current word, by start and then by end: start, end and piece of each.
  private starts: number[] = []
  private ends: number[] = []
  private ids: number[] = []

  constructor(readonly pieces: readonly ScoredToken[]) {
    this.scores = Float64Array.from(pieces, ([, score]) => score)
    for (const [id, [piece]] of pieces.entries()) if (id > 0) this.trie.add(piece, id)
    let least = Infinity
    for (const score of this.scores) if (score < least) least = score
    this.unknownScore = least - UNKNOWN_PENALTY
  }

  /** Adds to `expected` how often each piece occurs on average over all cuts of the word, times `count`. */
  addExpected(word: string, count: number, expected: Float64Array): void {
    this.build(word)
    const { starts, ends, ids } = this
    const size = word.length
    const forward = new Float64Array(size + 1).fill(Number.NaN)
    const backward = new Float64Array(size + 1).fill(Number.NaN)
    forward[0] = 0
    backward[size] = 0
    for (let i = 0; i < ids.length; i++) {
      const score = this.scoreOf(ids[i]!) + forward[starts[i]!]!
      const sum = forward[ends[i]!]!
      forward[ends[i]!] = Number.isNaN(sum) ? score : logSumExp(sum, score)
    }
    for (let last = ids.length - 1; last >= 0; ) {
      const start = starts[last]!
      let first = last
      while (first > 0 && starts[first - 1] === start) first--
      for (let i = first; i <= last; i++) {
        const score = this.scoreOf(ids[i]!) + backward[ends[i]!]!
        const sum = backward[start]!
        backward[start] = Number.isNaN(sum) ? score : logSumExp(sum, score)
      }
      last = first - 1
    }
    const all = forward[size]!
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i]!
      expected[id]! += count * Math.exp(forward[starts[i]!]! + this.scoreOf(id) + backward[ends[i]!]! - all)
    }
  }

  /** The pieces of the most probable cut, and of the second most probable if there is one. */
  bestTwo(word: string): [best: number[], second: number[] | undefined] {
    this.build(word)
    const { starts, ends, ids } = this
    const size = word.length
    // For each position the two best scores up to it, and the edge and the rank at its start that they came by.
    const scores = new Float64Array(2 * size + 2).fill(-Infinity)
    const edges = new Int32Array(2 * size + 2).fill(-1)
    const ranks = new Uint8Array(2 * size + 2)
    scores[0] = 0
    for (let i = 0; i < ids.length; i++) {
      const from = 2 * starts[i]!
      const to = 2 * ends[i]!
      for (let rank = 0; rank < 2; rank++) {
        const score = scores[from + rank]! + this.scoreOf(ids[i]!)
        if (score > scores[to]!) {
          scores[to + 1] = scores[to]!
          edges[to + 1] = edges[to]!
          ranks[to + 1] = ranks[to]!
          scores[to] = score
          edges[to] = i
          ranks[to] = rank
        } else if (score > scores[to + 1]!) {
          scores[to + 1] = score
          edges[to + 1] = i
          ranks[to + 1] = rank
        }
      }
    }
    const path = (rank: number) => {
      const pieces: number[] = []
      for (let at = 2 * size + rank; at > 1; ) {
        const edge = edges[at]!
        pieces.push(ids[edge]!)
        at = 2 * starts[edge]! + ranks[at]!
      }
      return pieces.reverse()
    }
    return [path(0), edges[2 * size + 1]! < 0 ? undefined : path(1)]
  }

  private scoreOf(id: number): number {
    return id === 0 ? this.unknownScore : this.scores[id]!
  }

  private build(word: string): void {
    const { trie, starts, ends, ids } = this
    starts.length = ends.length = ids.length = 0
    const push = (start: number, end: number, id: number) => {
      starts.push(start)
      ends.push(end)
      ids.push(id)
    }
    for (let start = 0; start < word.length; ) {
      const next = start + unitsAt(word, start)
      let hasSingle = false
      let node = 0
      for (let i = start; i < word.length; i++) {
        node = trie.step(node, word.charCodeAt(i))
        if (node < 0) break
        const id = trie.valueAt(node)
        if (id < 0) continue
        push(start, i + 1, id)
        if (i + 1 === next) hasSingle = true
      }
      if (!hasSingle) push(start, next, 0)
      start = next
    }
  }
}
