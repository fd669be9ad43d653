import { toByteCharacters } from './byte-alphabet.ts'
import { type NormalizedText, unitsAt } from './normalized-text.ts'

/** Collects the pieces of a text in order. */
export class PieceSink {
  private text = ''
  private offset = 0
  private pieces: string[] = []
  /** Start and end of each piece, while some text was left out; null as long as they follow each other from 0 on. */
  private spans: number[] | null = null
  private end = 0

  /** Makes `text`, which lies at `offset` of the source, the one that spans refer to. */
  reset(text: string, offset: number): void {
    this.text = text
    this.offset = offset
  }

  /** Adds the piece `[start, end)`, in UTF-16 units of the text; an empty one is left out. */
  add(start: number, end: number): void {
    if (start >= end) return
    const from = this.offset + start
    if (from !== this.end) this.spans ??= gapless(this.pieces)
    this.end = this.offset + end
    this.spans?.push(from, this.end)
    this.pieces.push(this.text.slice(start, end))
  }

  /** Adds consecutive pieces, none empty, that cover the text from its start to its end. The sink keeps the array. */
  addAll(pieces: string[]): void {
    if (this.pieces.length === 0 && this.offset === 0) {
      this.pieces = pieces
      this.end = this.text.length
      return
    }
    let start = 0
    for (const piece of pieces) {
      this.add(start, start + piece.length)
      start += piece.length
    }
  }

  /** The pieces as a segment of `source`. */
  segment(source: NormalizedText): Segment {
    return new Segment(source, this.pieces, this.spans)
  }
}

/** Spans of pieces that follow each other from 0 on. */
function gapless(pieces: readonly string[]): number[] {
  const spans: number[] = []
  let start = 0
  for (const { length } of pieces) {
    spans.push(start, start + length)
    start += length
  }
  return spans
}

/** A stretch of text and how it is cut. */
export class Segment {
  constructor(
    readonly source: NormalizedText,
    readonly pieces: readonly string[],
    private knownSpans: readonly number[] | null,
    /** The id of the added token that this stretch is, which nothing cuts. */
    readonly addedToken?: number,
  ) {}

  /** A stretch that is still uncut. */
  static whole(source: NormalizedText, addedToken?: number): Segment {
    return new Segment(source, [source.text], null, addedToken)
  }

  /** Flat pairs: start and end of each piece in the source, in UTF-16 units. Worked out when asked for. */
  get spans(): readonly number[] {
    this.knownSpans ??= gapless(this.pieces)
    return this.knownSpans
  }
}

/** A text cut into pieces, by added tokens first and then by pre-tokenizers; what a pre-tokenizer works on. */
export class PreTokenizedText {
  private isByteLevelPending = false

  constructor(private parts: Segment[]) {}

  /** A text that holds no added token. */
  static of(source: NormalizedText): PreTokenizedText {
    return new PreTokenizedText(source.text === '' ? [] : [Segment.whole(source)])
  }

  get segments(): readonly Segment[] {
    return this.parts
  }

  get pieceCount(): number {
    let count = 0
    for (const { pieces } of this.parts) count += pieces.length
    return count
  }

  /** Whether the pieces are still to be spelled in byte characters: the last step, which a cache may save. */
  get isByteLevel(): boolean {
    return this.isByteLevelPending
  }

  /** Cuts each piece further, without changing the text. */
  split(cut: (text: string, sink: PieceSink) => void): void {
    this.spellBytes()
    this.parts = this.parts.map(segment => {
      if (segment.addedToken !== undefined) return segment
      const { source, pieces } = segment
      const sink = new PieceSink()
      for (let i = 0; i < pieces.length; i++) {
        sink.reset(pieces[i]!, segment.spans[2 * i]!)
        cut(pieces[i]!, sink)
      }
      return sink.segment(source)
    })
  }

  /** Changes the text of each piece; pieces that become empty are left out. */
  map(change: (piece: NormalizedText) => NormalizedText): void {
    this.spellBytes()
    const parts: Segment[] = []
    for (const segment of this.parts) {
      if (segment.addedToken !== undefined) parts.push(segment)
      else {
        for (let i = 0; i < segment.pieces.length; i++) {
          const piece = segment.source.slice(segment.spans[2 * i]!, segment.spans[2 * i + 1]!)
          const changed = change(piece)
          if (changed.text !== '') parts.push(Segment.whole(changed))
        }
      }
    }
    this.parts = parts
  }

  /** Spells each piece in byte characters, at once if something follows and otherwise when the model asks. */
  toByteLevel(): void {
    this.spellBytes()
    this.isByteLevelPending = true
  }

  private spellBytes(): void {
    if (!this.isByteLevelPending) return
    this.isByteLevelPending = false
    this.map(byteLevelText)
  }
}

const anyCharacter = /[\s\S]/gu

/** Each UTF-8 byte as its character, aligned to the code point it belongs to. */
export function byteLevelText(source: NormalizedText): NormalizedText {
  const bytes = toByteCharacters(source.text)
  return bytes.length === source.text.length
    ? source.withText(bytes)
    : source.mapCharacters(anyCharacter, toByteCharacters)
}

/** For each byte character of `toByteCharacters(text)`: start of its code point in `text`, in UTF-16 units. */
export function byteStarts(text: string): Int32Array {
  const starts: number[] = []
  for (let i = 0; i < text.length; ) {
    const units = unitsAt(text, i)
    const unit = text.charCodeAt(i)
    const bytes = units === 2 ? 4 : unit < 0x80 ? 1 : unit < 0x800 ? 2 : 3
    for (let k = 0; k < bytes; k++) starts.push(i)
    i += units
  }
  starts.push(text.length)
  return Int32Array.from(starts)
}
