import {
  changeColumns,
  type EncodingColumns,
  filled,
  joinColumns,
  noColumns,
  sliceColumns,
  specialColumns,
} from './encoding-columns.ts'
import { HeedError } from './errors.ts'

export type Direction = 'left' | 'right'
export type TokenLookup = (id: number) => string

/** Where a text's tokens are among all: `[start, end)`. */
interface SequenceRange {
  readonly sequenceId: number
  readonly start: number
  readonly end: number
}

const noRanges: readonly SequenceRange[] = []

/** Adds ranges `offset` tokens further on; of two for one text the later counts. */
function addRanges(ranges: SequenceRange[], added: readonly SequenceRange[], offset: number): void {
  for (const { sequenceId, start, end } of added) {
    const known = ranges.findIndex(range => range.sequenceId === sequenceId)
    ranges[known < 0 ? ranges.length : known] = { sequenceId, start: start + offset, end: end + offset }
  }
}

/** How the tokens that lengthen a batch look. */
export interface PadToken {
  readonly padId: number
  readonly padTypeId: number
  readonly padToken: string
}

/** What a text became: parallel arrays, one entry a token, and the way back from tokens to the text. Immutable. */
export class Encoding {
  /** The windows of a truncated text after the first. */
  readonly overflowing: readonly Encoding[]
  private tokenTexts: string[] | undefined
  private offsetPairs: [number, number][] | undefined

  constructor(
    private readonly columns: EncodingColumns,
    private readonly lookup: TokenLookup,
    overflowing: readonly Encoding[] = [],
    private readonly ranges: readonly SequenceRange[] = noRanges,
  ) {
    this.overflowing = overflowing
  }

  static empty(lookup: TokenLookup): Encoding {
    return new Encoding(noColumns, lookup)
  }

  /** Special tokens alone, which came from no text. */
  static special(ids: readonly number[], tokens: readonly string[], typeId: number, lookup: TokenLookup): Encoding {
    return new Encoding(specialColumns(ids, tokens, typeId), lookup)
  }

  get length(): number {
    return this.columns.ids.length
  }

  get ids(): number[] {
    return this.columns.ids as number[]
  }

  get typeIds(): number[] {
    return this.columns.typeIds as number[]
  }

  /** 1 for tokens of the text and special tokens, 0 for padding. */
  get attentionMask(): number[] {
    return this.columns.attentionMask as number[]
  }

  /** 1 for tokens that a post-processor or padding added. */
  get specialTokensMask(): number[] {
    return this.columns.specialTokensMask as number[]
  }

  /** The text of each token as the vocabulary spells it. */
  get tokens(): string[] {
    const { values } = this.columns
    this.tokenTexts ??= this.ids.map((id, i) => values?.[i] ?? this.lookup(id))
    return this.tokenTexts
  }

  /** `[start, end)` of each token in the text it came from, `[0, 0]` for special tokens. */
  get offsets(): [number, number][] {
    if (!this.offsetPairs) {
      const { spans } = this.columns
      this.offsetPairs = this.ids.map((_, i) => [spans[2 * i]!, spans[2 * i + 1]!])
    }
    return this.offsetPairs
  }

  /** Index of the piece (word) each token came from, null for special tokens. */
  get wordIds(): (number | null)[] {
    return this.columns.words.map(word => (word < 0 ? null : word))
  }

  /** 0 or 1 for the first or second text, null for special tokens. */
  get sequenceIds(): (number | null)[] {
    const result = new Array<number | null>(this.length).fill(this.ranges.length === 0 ? 0 : null)
    for (const { sequenceId, start, end } of this.ranges) result.fill(sequenceId, start, end)
    return result
  }

  /** The index of the token that holds the character at `position` of a text, if one does. */
  charToToken(position: number, sequenceId = 0): number | undefined {
    const [start, end] = this.rangeOf(sequenceId)
    const { spans } = this.columns
    for (let i = start; i < end; i++) {
      if (position >= spans[2 * i]! && position < spans[2 * i + 1]!) return i
    }
    return undefined
  }

  /** The index of the word that holds the character at `position` of a text, if one does. */
  charToWord(position: number, sequenceId = 0): number | undefined {
    const token = this.charToToken(position, sequenceId)
    return token === undefined ? undefined : this.tokenToWord(token)
  }

  /** `[start, end)` of a token in the text it came from; undefined for special tokens and indexes out of range. */
  tokenToChars(token: number): [number, number] | undefined {
    const { spans } = this.columns
    return this.tokenToSequence(token) === undefined ? undefined : [spans[2 * token]!, spans[2 * token + 1]!]
  }

  /** 0 or 1 for the text a token came from; undefined for special tokens and indexes out of range. */
  tokenToSequence(token: number): number | undefined {
    if (!(token >= 0 && token < this.length)) return undefined
    if (this.ranges.length === 0) return 0
    return this.ranges.find(({ start, end }) => token >= start && token < end)?.sequenceId
  }

  /** The index of the word that a token came from; undefined for special tokens and indexes out of range. */
  tokenToWord(token: number): number | undefined {
    const word = this.columns.words[token] ?? -1
    return word < 0 ? undefined : word
  }

  /** `[first, last + 1)`, the indexes of the tokens of a word. */
  wordToTokens(word: number, sequenceId = 0): [number, number] | undefined {
    const [start, end] = this.rangeOf(sequenceId)
    const { words } = this.columns
    let first = start
    while (first < end && words[first] !== word) first++
    if (first === end) return undefined
    let last = first
    while (last < end && words[last] === word) last++
    return [first, last]
  }

  /** `[start, end)` of a word in the text it came from. */
  wordToChars(word: number, sequenceId = 0): [number, number] | undefined {
    const tokens = this.wordToTokens(word, sequenceId)
    if (!tokens) return undefined
    const { spans } = this.columns
    return [spans[2 * tokens[0]]!, spans[2 * tokens[1] - 1]!]
  }

  /** All arrays as a plain object, with the overflowing windows. */
  toJSON(): Record<string, unknown> {
    const { ids, tokens, offsets, typeIds, attentionMask, specialTokensMask, wordIds, sequenceIds } = this
    const overflowing = this.overflowing.map(window => window.toJSON())
    return { ids, tokens, offsets, typeIds, attentionMask, specialTokensMask, wordIds, sequenceIds, overflowing }
  }

  /** The same tokens with other columns or another place among the sequences; overflowing windows change alike. */
  with(change: { typeId?: number; sequenceId?: number; spans?: (encoding: Encoding) => readonly number[] }): Encoding {
    const { typeId, sequenceId, spans } = change
    const columns = changeColumns(this.columns, { typeId, spans: spans && (() => spans(this)) })
    const ranges = sequenceId === undefined ? this.ranges : [{ sequenceId, start: 0, end: this.length }]
    const overflowing = this.overflowing.length === 0 ? [] : this.overflowing.map(window => window.with(change))
    return new Encoding(columns, this.lookup, overflowing, ranges)
  }

  /** The flat pairs behind `offsets`. */
  get spans(): readonly number[] {
    return this.columns.spans
  }

  /**
   * Windows of at most `maxLength` tokens that overlap by `stride`; the first has the others as `overflowing`. From the
   * right the first window is the start of the text, from the left its end. Throws HEED_ARGUMENT_INVALID.
   */
  truncate(maxLength: number, stride: number, direction: Direction): Encoding {
    const { length } = this
    if (maxLength >= length) return this
    if (maxLength === 0) return new Encoding(noColumns, this.lookup, [this])
    if (stride >= maxLength) {
      throw new HeedError(
        'HEED_ARGUMENT_INVALID',
        `encode: truncation.stride is ${stride}, expected less than the ${maxLength} tokens left for the text. ` +
          'Lower stride or raise maxLength.',
      )
    }
    const windows: Encoding[] = []
    const step = maxLength - stride
    for (let i = 0; ; i++) {
      const start = direction === 'right' ? i * step : Math.max(0, length - i * step - maxLength)
      const end = direction === 'right' ? Math.min(length, start + maxLength) : length - i * step
      windows.push(new Encoding(sliceColumns(this.columns, start, end), this.lookup))
      if (direction === 'right' ? end === length : start === 0) break
    }
    const first = windows.shift()!
    return new Encoding(first.columns, this.lookup, windows, first.ranges)
  }

  /** Lengthened to `length` with pad tokens; a longer encoding stays as it is. Overflowing windows too. */
  pad(length: number, pad: PadToken, direction: Direction): Encoding {
    const overflowing = this.overflowing.map(window => window.pad(length, pad, direction))
    const missing = length - this.length
    if (missing <= 0) return new Encoding(this.columns, this.lookup, overflowing, this.ranges)
    const padding: EncodingColumns = {
      ids: filled(missing, pad.padId),
      typeIds: filled(missing, pad.padTypeId),
      spans: filled(2 * missing, 0),
      words: filled(missing, -1),
      attentionMask: filled(missing, 0),
      specialTokensMask: filled(missing, 1),
      values: new Array<string>(missing).fill(pad.padToken),
    }
    if (direction === 'right') {
      return new Encoding(joinColumns([this.columns, padding]), this.lookup, overflowing, this.ranges)
    }
    const shifted: SequenceRange[] = []
    addRanges(shifted, this.ranges, missing)
    return new Encoding(joinColumns([padding, this.columns]), this.lookup, overflowing, shifted)
  }

  /**
   * How many tokens HF 0.23 makes of a text before it truncates it: whole words from the end that is kept, until there
   * are `enough` tokens. Which text of a pair gets the odd token hangs on it.
   */
  countUpTo(enough: number, direction: Direction): number {
    const { words } = this.columns
    const { length } = this
    if (length <= enough) return length
    let count = enough
    const at = (i: number) => words[direction === 'right' ? i : length - 1 - i]
    while (count < length && at(count) === at(count - 1)) count++
    return count
  }

  /** Encodings one after the other; each overflowing window of one is combined with each of the others. */
  static join(encodings: readonly Encoding[], lookup: TokenLookup): Encoding {
    if (encodings.some(encoding => encoding.overflowing.length > 0)) {
      return encodings.reduce((joined, encoding) => joined.concat(encoding))
    }
    const ranges: SequenceRange[] = []
    let length = 0
    for (const encoding of encodings) {
      addRanges(ranges, encoding.ranges, length)
      length += encoding.length
    }
    return new Encoding(joinColumns(encodings.map(encoding => encoding.columns)), lookup, [], ranges)
  }

  /** This encoding followed by another; each overflowing window of either is combined with each of the other. */
  concat(other: Encoding): Encoding {
    const overflowing: Encoding[] = []
    for (const mine of this.overflowing) {
      overflowing.push(mine.concat(other.alone()))
      for (const theirs of other.overflowing) overflowing.push(mine.concat(theirs))
    }
    for (const theirs of other.overflowing) overflowing.push(this.alone().concat(theirs))
    const ranges = [...this.ranges]
    addRanges(ranges, other.ranges, this.length)
    return new Encoding(joinColumns([this.columns, other.columns]), this.lookup, overflowing, ranges)
  }

  private alone(): Encoding {
    return this.overflowing.length === 0 ? this : new Encoding(this.columns, this.lookup, [], this.ranges)
  }

  private rangeOf(sequenceId: number): [start: number, end: number] {
    const range = this.ranges.find(known => known.sequenceId === sequenceId)
    return range ? [range.start, range.end] : [0, this.length]
  }
}
