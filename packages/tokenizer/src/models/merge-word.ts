import type { PairTable } from './pair-table.ts'

/** The symbols of one word before and after merging. */
export interface Word {
  ids: number[]
  /** Flat pairs: start and end of each symbol in the word. */
  spans: number[]
}

/** The merges of a BPE model: `ranks` gives the rank of a pair, `results[rank]` the id it becomes. */
export interface Merges {
  readonly ranks: PairTable
  readonly results: Int32Array
}

/** Up to this many symbols, looking for the best pair anew each time beats keeping a heap. */
const SCAN_LIMIT = 48

/** Applies merges to a word in place, lowest rank first and leftmost among equals. */
export function mergeWord(word: Word, merges: Merges): void {
  if (word.ids.length < 2) return
  if (word.ids.length <= SCAN_LIMIT) mergeByScan(word, merges)
  else mergeByHeap(word, merges, () => false)
}

/** The same, skipping each merge with probability `dropout`. Provilkov et al. 2020 (arXiv:1910.13267). */
export function mergeWordWithDropout(word: Word, merges: Merges, dropout: number, random: () => number): void {
  if (word.ids.length >= 2) mergeByHeap(word, merges, () => random() < dropout)
}

const scanRanks = new Int32Array(SCAN_LIMIT)
const NO_MERGE = 0x7fffffff

function mergeByScan(word: Word, merges: Merges): void {
  const { ids, spans } = word
  const { ranks, results } = merges
  let count = ids.length
  const rankAt = (i: number) => {
    const rank = ranks.get(ids[i]!, ids[i + 1]!)
    return rank < 0 ? NO_MERGE : rank
  }
  for (let i = 0; i < count - 1; i++) scanRanks[i] = rankAt(i)
  for (;;) {
    let best = NO_MERGE
    let at = 0
    for (let i = 0; i < count - 1; i++) {
      if (scanRanks[i]! < best) {
        best = scanRanks[i]!
        at = i
      }
    }
    if (best === NO_MERGE) break
    ids[at] = results[best]!
    spans[2 * at + 1] = spans[2 * at + 3]!
    count--
    for (let i = at + 1; i < count; i++) {
      ids[i] = ids[i + 1]!
      spans[2 * i] = spans[2 * i + 2]!
      spans[2 * i + 1] = spans[2 * i + 3]!
      scanRanks[i] = scanRanks[i + 1]!
    }
    if (at < count - 1) scanRanks[at] = rankAt(at)
    if (at > 0) scanRanks[at - 1] = rankAt(at - 1)
  }
  ids.length = count
  spans.length = 2 * count
}

/** Positions lie below this in a heap key, ranks above: `rank * POSITIONS + position` is exact below 2^53. */
const POSITIONS = 2 ** 31

function mergeByHeap(word: Word, merges: Merges, isSkipped: () => boolean): void {
  const { ids, spans } = word
  const { ranks, results } = merges
  const count = ids.length
  const previous = new Int32Array(count)
  const next = new Int32Array(count)
  const heap: number[] = []
  for (let i = 0; i < count; i++) {
    previous[i] = i - 1
    next[i] = i + 1 < count ? i + 1 : -1
  }
  const offer = (position: number) => {
    const rank = ranks.get(ids[position]!, ids[next[position]!]!)
    if (rank >= 0) pushKey(heap, rank * POSITIONS + position)
  }
  for (let i = 0; i + 1 < count; i++) offer(i)
  const skipped: number[] = []
  const isMerged = new Uint8Array(count)
  while (heap.length > 0) {
    const key = popKey(heap)
    if (isSkipped()) {
      skipped.push(key)
      continue
    }
    while (skipped.length > 0) pushKey(heap, skipped.pop()!)
    const rank = Math.floor(key / POSITIONS)
    const at = key - rank * POSITIONS
    const right = next[at]!
    if (isMerged[at] || right === -1) continue
    const current = ranks.get(ids[at]!, ids[right]!)
    if (current < 0 || results[current] !== results[rank]) continue
    ids[at] = results[rank]!
    spans[2 * at + 1] = spans[2 * right + 1]!
    isMerged[right] = 1
    const after = next[right]!
    next[at] = after
    if (after !== -1) previous[after] = at
    if (previous[at]! >= 0) offer(previous[at]!)
    if (after !== -1) offer(at)
  }
  let kept = 0
  for (let i = 0; i < count; i++) {
    if (isMerged[i]) continue
    ids[kept] = ids[i]!
    spans[2 * kept] = spans[2 * i]!
    spans[2 * kept + 1] = spans[2 * i + 1]!
    kept++
  }
  ids.length = kept
  spans.length = 2 * kept
}

function pushKey(heap: number[], key: number): void {
  let i = heap.length
  heap.push(key)
  while (i > 0) {
    const parent = (i - 1) >> 1
    if (heap[parent]! <= key) break
    heap[i] = heap[parent]!
    i = parent
  }
  heap[i] = key
}

function popKey(heap: number[]): number {
  const top = heap[0]!
  const key = heap.pop()!
  const size = heap.length
  if (size === 0) return top
  let i = 0
  for (;;) {
    let child = 2 * i + 1
    if (child >= size) break
    if (child + 1 < size && heap[child + 1]! < heap[child]!) child++
    if (heap[child]! >= key) break
    heap[i] = heap[child]!
    i = child
  }
  heap[i] = key
  return top
}
