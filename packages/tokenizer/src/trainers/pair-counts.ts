import { PairTable } from '../models/pair-table.ts'

/** A pair of neighbouring symbols waiting to be merged: how often it was seen, and in which words since it was queued. */
export interface Candidate {
  readonly pair: number
  readonly left: number
  readonly right: number
  count: number
  readonly words: number[]
}

/** Negative if of two pairs seen equally often the first comes first. */
export type CompareTies = (a: Candidate, b: Candidate) => number

/** The pair of lowest ids first: HF's order, which makes training reproducible. */
function compareIds(a: Candidate, b: Candidate): number {
  return a.left - b.left || a.right - b.right
}

/**
 * Counts of neighbouring symbols over a set of words, kept while words change, with a queue of the most frequent.
 * A count in the queue may be out of date: `pop` corrects it before it believes it.
 */
export class PairCounts {
  private readonly indexes = new PairTable(1 << 16)
  private readonly lefts: number[] = []
  private readonly rights: number[] = []
  private readonly counts: number[] = []
  /** Words in which a pair appeared since it was last queued; null for none. */
  private readonly newWords: (number[] | null)[] = []
  private readonly touched: number[] = []
  private readonly heap: Candidate[] = []

  constructor(private readonly compareTies: CompareTies = compareIds) {}

  /** Counts `change` more of a pair that `word` holds; more than 0 also notes the word. */
  add(left: number, right: number, change: number, word: number): void {
    let pair = this.indexes.get(left, right)
    if (pair < 0) {
      pair = this.counts.length
      this.indexes.set(left, right, pair)
      this.lefts.push(left)
      this.rights.push(right)
      this.counts.push(0)
      this.newWords.push(null)
    }
    this.counts[pair]! += change
    if (change <= 0) return
    const words = this.newWords[pair]
    if (!words) {
      this.newWords[pair] = [word]
      this.touched.push(pair)
    } else if (words[words.length - 1] !== word) words.push(word)
  }

  /** Puts each pair that appeared in words since the last call into the queue. */
  queueNew(): void {
    for (const pair of this.touched) {
      const words = this.newWords[pair]!
      this.newWords[pair] = null
      const count = this.counts[pair]!
      if (count > 0) this.push({ pair, left: this.lefts[pair]!, right: this.rights[pair]!, count, words })
    }
    this.touched.length = 0
  }

  /** The most frequent pair, or undefined when none is left. */
  pop(): Candidate | undefined {
    for (;;) {
      const top = this.heap[0]
      if (!top) return undefined
      const count = this.counts[top.pair]!
      if (count === top.count) return this.removeTop()
      top.count = count
      this.sinkTop(top)
    }
  }

  private isBefore(a: Candidate, b: Candidate): boolean {
    return a.count !== b.count ? a.count > b.count : this.compareTies(a, b) < 0
  }

  private push(candidate: Candidate): void {
    const { heap } = this
    let i = heap.length
    heap.push(candidate)
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (!this.isBefore(candidate, heap[parent]!)) break
      heap[i] = heap[parent]!
      i = parent
    }
    heap[i] = candidate
  }

  private removeTop(): Candidate {
    const top = this.heap[0]!
    const last = this.heap.pop()!
    if (this.heap.length > 0) this.sinkTop(last)
    return top
  }

  private sinkTop(candidate: Candidate): void {
    const { heap } = this
    const size = heap.length
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= size) break
      if (child + 1 < size && this.isBefore(heap[child + 1]!, heap[child]!)) child++
      if (!this.isBefore(heap[child]!, candidate)) break
      heap[i] = heap[child]!
      i = child
    }
    heap[i] = candidate
  }
}
