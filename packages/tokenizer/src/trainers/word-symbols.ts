import type { Candidate, PairCounts } from './pair-counts.ts'

interface SymbolStyle {
  readonly continuingSubwordPrefix?: string
  readonly endOfWordSuffix?: string
}

/** All different words of a corpus as ids of symbols, one flat array; merging shortens words in place. */
export class WordSymbols {
  private readonly symbols: Int32Array
  private readonly starts: Int32Array
  private readonly lengths: Int32Array
  private readonly counts: Float64Array

  /** `idFor` gives new ids to symbols that carry a prefix or suffix; characters outside `ids` are left out. */
  constructor(
    wordCounts: ReadonlyMap<string, number>,
    ids: ReadonlyMap<string, number>,
    idFor: (symbol: string) => number,
    { continuingSubwordPrefix = '', endOfWordSuffix = '' }: SymbolStyle,
  ) {
    let units = 0
    for (const word of wordCounts.keys()) units += word.length
    this.symbols = new Int32Array(units)
    this.starts = new Int32Array(wordCounts.size)
    this.lengths = new Int32Array(wordCounts.size)
    this.counts = new Float64Array(wordCounts.size)
    let end = 0
    let index = 0
    for (const [word, count] of wordCounts) {
      const start = end
      let position = 0
      for (const character of word) {
        const prefix = position === 0 ? '' : continuingSubwordPrefix
        position += character.length
        if (!ids.has(character)) continue
        this.symbols[end++] = idFor(prefix + character + (position === word.length ? endOfWordSuffix : ''))
      }
      this.starts[index] = start
      this.lengths[index] = end - start
      this.counts[index] = count
      index++
    }
  }

  countPairs(pairs: PairCounts): void {
    for (let word = 0; word < this.starts.length; word++) {
      const end = this.starts[word]! + this.lengths[word]!
      for (let i = this.starts[word]!; i + 1 < end; i++) {
        pairs.add(this.symbols[i]!, this.symbols[i + 1]!, this.counts[word]!, word)
      }
    }
  }

  /** Joins a pair into `merged` in each of its words; neighbours that would be longer than `maxLength` make no pair. */
  merge(
    { left, right, words }: Candidate,
    merged: number,
    pairs: PairCounts,
    lengthOf: (id: number) => number,
    maxLength: number,
  ): void {
    const { symbols } = this
    const mergedLength = lengthOf(merged)
    for (const word of words) {
      const start = this.starts[word]!
      const end = start + this.lengths[word]!
      const count = this.counts[word]!
      let to = start
      let from = start
      while (from < end) {
        const symbol = symbols[from]!
        if (symbol !== left || from + 1 >= end || symbols[from + 1] !== right) {
          symbols[to++] = symbol
          from++
          continue
        }
        if (to > start) {
          const before = symbols[to - 1]!
          pairs.add(before, left, -count, word)
          if (lengthOf(before) + mergedLength < maxLength) pairs.add(before, merged, count, word)
        }
        if (from + 2 < end) {
          const after = symbols[from + 2]!
          pairs.add(right, after, -count, word)
          if (lengthOf(after) + mergedLength < maxLength) pairs.add(merged, after, count, word)
        }
        symbols[to++] = merged
        from += 2
      }
      this.lengths[word] = to - start
    }
  }
}
