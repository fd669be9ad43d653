import { toByteCharacters } from './byte-alphabet.ts'
import { type NormalizedText, unitsAt } from './normalized-text.ts'

/** Collects the pieces of one text. */
export class PieceSink {
  /** Flat pairs: start and end of each piece in the source, in UTF-16 units. */
  readonly spans: number[] = []
  readonly pieces: string[] = []
  private text = ''
  private offset = 0

  /** Makes `text`, which lies at `offset` of the source, the one that spans refer to. */
  reset(text: string, offset: number): void {
    this.text = text
    this.offset = offset
  }

  /** Adds the piece `[start, end)`, in UTF-16 units of the text; an empty one is left out. */
  add(start: number, end: number): void {
    if (start >= end) return
    this.spans.push(this.offset + start, this.offset + end)
    this.pieces.push(this.text.slice(start, end))
  }

  /** Adds consecutive pieces that cover the text from its start to its end. */
  addAll(pieces: readonly string[]): void {
    let start = this.offset
    for (const piece of pieces) {
      const end = start + piece.length
      this.spans.push(start, end)
      this.pieces.push(piece)
      start = end
    }
  }
}

/** A stretch of text and how it is cut; `addedToken` is its id when the stretch is one added token, which nothing cuts. */
export interface Segment {
  readonly source: NormalizedText
  readonly spans: readonly number[]
  readonly pieces: readonly string[]
  readonly addedToken?: number
}

function whole(source: NormalizedText): Segment {
  return { source, spans: [0, source.text.length], pieces: [source.text] }
}

/** A text cut into pieces, by added tokens first and then by pre-tokenizers; what a pre-tokenizer works on. */
export class PreTokenizedText {
  private isByteLevelPending = false

  constructor(private parts: Segment[]) {}

  /** A text that holds no added token. */
  static of(source: NormalizedText): PreTokenizedText {
    return new PreTokenizedText(source.text === '' ? [] : [whole(source)])
  }

  get segments(): readonly Segment[] {
    return this.parts
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
      const sink = new PieceSink()
      for (let i = 0; i < segment.pieces.length; i++) {
        sink.reset(segment.pieces[i]!, segment.spans[2 * i]!)
        cut(segment.pieces[i]!, sink)
      }
      return { source: segment.source, spans: sink.spans, pieces: sink.pieces }
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
          if (changed.text !== '') parts.push(whole(changed))
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
