import { toByteCharacters } from './byte-alphabet.ts'
import { DeferredColumns, type EncodingColumns, joinIds, TextSource, type TokenValues } from './encoding-columns.ts'
import type { Model, PieceTokens } from './models/model.ts'
import type { NormalizedText } from './normalized-text.ts'
import { byteStarts, type PreTokenizedText, type Segment } from './pre-tokenized-text.ts'
import { TextMemory } from './text-memory.ts'

/** Turns the pieces of texts into columns of tokens, remembering pieces it has met. */
export class PieceEncoder {
  private readonly tokensOf: (piece: string) => PieceTokens
  private readonly tokensOfBytes: (piece: string) => PieceTokens

  constructor(model: Model) {
    const plain = (piece: string): PieceTokens => model.tokenize(piece)
    const byteLevel = (piece: string): PieceTokens => tokenizeBytes(piece, model)
    const [memory, bytesMemory] = [new TextMemory(plain), new TextMemory(byteLevel)]
    this.tokensOf = model.isDeterministic ? piece => memory.of(piece) : plain
    this.tokensOfBytes = model.isDeterministic ? piece => bytesMemory.of(piece) : byteLevel
  }

  /** Offsets are UTF-16 units of the original. */
  encode(text: PreTokenizedText, typeId: number, wordId?: number): EncodingColumns {
    const { segments, isByteLevel } = text
    const found = new Array<PieceTokens>(text.pieceCount)
    let at = 0
    const tokensOf = isByteLevel ? this.tokensOfBytes : this.tokensOf
    for (const { pieces, source, addedToken } of segments) {
      for (let p = 0; p < pieces.length; p++) {
        found[at++] = addedToken === undefined ? tokensOf(pieces[p]!) : wholeToken(addedToken, source)
      }
    }
    const ids = joinIds(found)
    return new DeferredColumns(ids, new PieceSource(found, ids.length, typeId, segments, wordId))
  }
}

/** The tokens of a piece that the model gets spelled in byte characters. */
function tokenizeBytes(piece: string, model: Model): PieceTokens {
  const bytes = toByteCharacters(piece)
  const tokens = model.tokenize(bytes)
  return bytes.length === piece.length ? tokens : new ByteTokens(piece, tokens)
}

/** Tokens of bytes, whose places in the piece are worked out when they are asked for. */
class ByteTokens implements PieceTokens {
  readonly ids: readonly number[]
  readonly values: TokenValues
  private made: readonly number[] | undefined

  constructor(
    private readonly piece: string,
    private readonly tokens: PieceTokens,
  ) {
    this.ids = tokens.ids
    this.values = tokens.values ?? null
  }

  get spans(): readonly number[] {
    this.made ??= this.codePointSpans()
    return this.made
  }

  private codePointSpans(): readonly number[] {
    const starts = byteStarts(this.piece)
    const { spans } = this.tokens
    return spans.map((index, i) => {
      if (i % 2 === 0) return starts[index]!
      // The end of the code point that the last byte belongs to: where the next other start is.
      let next = index
      while (next < starts.length - 1 && starts[next] === starts[index - 1]) next++
      return starts[next]!
    })
  }
}

/** An added token, with the text it was found as. */
function wholeToken(id: number, { text }: NormalizedText): PieceTokens {
  return { ids: [id], spans: [0, text.length], values: [text] }
}

/** Columns from pieces and the tokens that the model made of each. */
class PieceSource extends TextSource<PieceTokens> {
  constructor(
    found: readonly PieceTokens[],
    length: number,
    typeId: number,
    private readonly segments: readonly Segment[],
    private readonly wordId: number | undefined,
  ) {
    super(found, length, typeId)
  }

  spans(): readonly number[] {
    const spans = new Array<number>(2 * this.length)
    let at = 0
    let word = 0
    for (const { source, spans: cuts, pieces } of this.segments) {
      const { isIdentity } = source
      const base = source.startOf(0)
      for (let p = 0; p < pieces.length; p++) {
        const tokens = this.runs[word++]!
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

  words(): readonly number[] {
    const words = new Array<number>(this.length)
    let at = 0
    for (const [word, { ids }] of this.runs.entries()) {
      for (let t = 0; t < ids.length; t++) words[at++] = this.wordId ?? word
    }
    return words
  }
}
