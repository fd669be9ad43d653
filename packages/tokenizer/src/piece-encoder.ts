import { toByteCharacters } from './byte-alphabet.ts'
import type { EncodingColumns } from './encoding.ts'
import type { Model, PieceTokens } from './models/model.ts'
import { byteStarts, type PreTokenizedText } from './pre-tokenized-text.ts'

/** Longer pieces hardly repeat. */
const LONGEST_CACHED = 128
/** About 10 MB of short words; past it the cache starts anew, so that a change of subject is followed. */
const MOST_CACHED = 65536

/** Turns the pieces of texts into columns of tokens, remembering pieces it has met. */
export class PieceEncoder {
  private readonly cache = new Map<string, PieceTokens>()

  constructor(private readonly model: Model) {}

  /** Offsets are UTF-16 units of the original. */
  encode(text: PreTokenizedText, typeId: number, wordId?: number): EncodingColumns {
    const ids: number[] = []
    const spans: number[] = []
    const words: number[] = []
    let values: (string | undefined)[] | null = null
    let piece = 0
    const setValue = (index: number, value: string | undefined) => {
      values ??= []
      values[index] = value
    }
    for (const { source, spans: cuts, pieces, addedToken } of text.segments) {
      if (addedToken !== undefined) {
        setValue(ids.length, source.text)
        ids.push(addedToken)
        spans.push(source.startOf(0), source.endOf(source.text.length - 1))
        words.push(wordId ?? piece++)
        continue
      }
      const { isIdentity } = source
      const base = source.startOf(0)
      for (let p = 0; p < pieces.length; p++) {
        const tokens = this.tokensOf(pieces[p]!, text.isByteLevel)
        const start = cuts[2 * p]!
        const word = wordId ?? piece
        piece++
        for (let t = 0; t < tokens.ids.length; t++) {
          if (tokens.values?.[t] !== undefined) setValue(ids.length, tokens.values[t])
          ids.push(tokens.ids[t]!)
          const from = start + tokens.spans[2 * t]!
          const to = start + tokens.spans[2 * t + 1]!
          if (isIdentity) spans.push(base + from, base + to)
          else spans.push(source.startOf(from), source.endOf(to - 1))
          words.push(word)
        }
      }
    }
    return {
      ids,
      typeIds: new Array<number>(ids.length).fill(typeId),
      spans,
      words,
      attentionMask: new Array<number>(ids.length).fill(1),
      specialTokensMask: new Array<number>(ids.length).fill(0),
      values,
    }
  }

  private tokensOf(piece: string, isByteLevel: boolean): PieceTokens {
    if (piece.length > LONGEST_CACHED || !this.model.isDeterministic) return this.tokenize(piece, isByteLevel)
    const known = this.cache.get(piece)
    if (known) return known
    const tokens = this.tokenize(piece, isByteLevel)
    if (this.cache.size >= MOST_CACHED) this.cache.clear()
    this.cache.set(piece, tokens)
    return tokens
  }

  private tokenize(piece: string, isByteLevel: boolean): PieceTokens {
    if (!isByteLevel) return this.model.tokenize(piece)
    const bytes = toByteCharacters(piece)
    const tokens = this.model.tokenize(bytes)
    if (bytes.length === piece.length) return tokens
    const starts = byteStarts(piece)
    const spans = tokens.spans.map((index, i) => {
      if (i % 2 === 0) return starts[index]!
      // The end of the code point that the last byte belongs to: where the next other start is.
      let next = index
      while (next < bytes.length && starts[next] === starts[index - 1]) next++
      return starts[next]!
    })
    return { ...tokens, spans }
  }
}
