import { toByteCharacters } from './byte-alphabet.ts'
import { DeferredColumns, type EncodingColumns, filled, type TokenValues } from './encoding-columns.ts'
import type { Model, PieceTokens } from './models/model.ts'
import type { NormalizedText } from './normalized-text.ts'
import { byteStarts, type PreTokenizedText, type Segment } from './pre-tokenized-text.ts'

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
    let at = 0
    for (const tokens of found) for (let t = 0; t < tokens.ids.length; t++) ids[at++] = tokens.ids[t]!
    return new PieceColumns(ids, found, text.segments, typeId, wordId)
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

/** The columns of pieces and the tokens that the model made of each. */
class PieceColumns extends DeferredColumns {
  constructor(
    ids: readonly number[],
    private readonly found: readonly PieceTokens[],
    private readonly segments: readonly Segment[],
    private readonly typeId: number,
    private readonly wordId: number | undefined,
  ) {
    super(ids)
  }

  protected makeSpans(): readonly number[] {
    const spans = new Array<number>(2 * this.ids.length)
    let at = 0
    let word = 0
    for (const { source, spans: cuts, pieces } of this.segments) {
      const { isIdentity } = source
      const base = source.startOf(0)
      for (let p = 0; p < pieces.length; p++) {
        const tokens = this.found[word++]!
        const start = cuts[2 * p]!
        for (let t = 0; t < tokens.ids.length; t++) {
          const from = start + tokens.spans[2 * t]!
          const to = start + tokens.spans[2 * t + 1]!
          spans[at++] = isIdentity ? base + from : source.startOf(from)
          spans[at++] = isIdentity ? base + to : source.endOf(to - 1)
        }
      }
    }
    return spans
  }

  protected makeWords(): readonly number[] {
    const words = new Array<number>(this.ids.length)
    let at = 0
    for (const [word, { ids }] of this.found.entries()) {
      for (let t = 0; t < ids.length; t++) words[at++] = this.wordId ?? word
    }
    return words
  }

  protected makeValues(): TokenValues {
    if (this.found.every(({ values }) => values === undefined)) return null
    return this.found.flatMap(({ ids, values }) => ids.map((_, t) => values?.[t]))
  }

  protected makeTypeIds(): readonly number[] {
    return filled(this.ids.length, this.typeId)
  }

  protected makeAttentionMask(): readonly number[] {
    return filled(this.ids.length, 1)
  }

  protected makeSpecialTokensMask(): readonly number[] {
    return filled(this.ids.length, 0)
  }
}
