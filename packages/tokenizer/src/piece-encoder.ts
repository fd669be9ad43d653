import { toByteCharacters } from './byte-alphabet.ts'
import type { EncodingColumns } from './encoding.ts'
import type { Model, PieceTokens } from './models/model.ts'
import type { NormalizedText } from './normalized-text.ts'
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
    const found: PieceTokens[] = []
    let count = 0
    for (const { pieces, source, addedToken } of text.segments) {
      for (const piece of pieces) {
        const tokens =
          addedToken === undefined ? this.tokensOf(piece, text.isByteLevel) : wholeToken(addedToken, source)
        found.push(tokens)
        count += tokens.ids.length
      }
    }
    const ids = new Array<number>(count)
    const spans = new Array<number>(2 * count)
    const words = new Array<number>(count)
    let values: (string | undefined)[] | null = null
    let at = 0
    let word = 0
    for (const { source, spans: cuts, pieces } of text.segments) {
      const { isIdentity } = source
      const base = source.startOf(0)
      for (let p = 0; p < pieces.length; p++) {
        const tokens = found[word]!
        const start = cuts[2 * p]!
        for (let t = 0; t < tokens.ids.length; t++) {
          const from = start + tokens.spans[2 * t]!
          const to = start + tokens.spans[2 * t + 1]!
          ids[at] = tokens.ids[t]!
          words[at] = wordId ?? word
          spans[2 * at] = isIdentity ? base + from : source.startOf(from)
          spans[2 * at + 1] = isIdentity ? base + to : source.endOf(to - 1)
          const value = tokens.values?.[t]
          if (value !== undefined) {
            values ??= []
            values[at] = value
          }
          at++
        }
        word++
      }
    }
    return {
      ids,
      typeIds: new Array<number>(count).fill(typeId),
      spans,
      words,
      attentionMask: new Array<number>(count).fill(1),
      specialTokensMask: new Array<number>(count).fill(0),
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

/** An added token, with the text it was found as. */
function wholeToken(id: number, { text }: NormalizedText): PieceTokens {
  return { ids: [id], spans: [0, text.length], values: [text] }
}
