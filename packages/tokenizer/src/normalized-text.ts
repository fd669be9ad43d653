/** UTF-16 units of the code point at `index`: 2 for a surrogate pair, else 1. */
export function unitsAt(text: string, index: number): number {
  const unit = text.charCodeAt(index)
  if (unit < 0xd800 || unit > 0xdbff) return 1
  const next = text.charCodeAt(index + 1)
  return next >= 0xdc00 && next <= 0xdfff ? 2 : 1
}

interface Alignment {
  /** Of each UTF-16 unit of the text: where its source begins in the original. */
  readonly starts: Int32Array
  /** Of each UTF-16 unit of the text: where its source ends in the original. */
  readonly ends: Int32Array
}

/** Characters that replace a stretch of a text, each with the change it makes. */
export interface TextEdit {
  readonly start: number
  readonly end: number
  readonly characters: Iterable<readonly [character: string, change: number]>
}

/** A text put together from stretches of another and insertions, with the alignment of each unit. */
class TextBuilder {
  text = ''
  private starts: Int32Array
  private ends: Int32Array
  private length = 0
  private position = 0

  constructor(
    private readonly source: string,
    private readonly from: Alignment,
  ) {
    this.starts = new Int32Array(source.length + 16)
    this.ends = new Int32Array(source.length + 16)
  }

  /** Copies the source from where the builder stands to `end`. */
  keepUntil(end: number): void {
    const { position } = this
    if (end <= position) return
    this.reserve(end - position)
    this.text += this.source.slice(position, end)
    this.starts.set(this.from.starts.subarray(position, end), this.length)
    this.ends.set(this.from.ends.subarray(position, end), this.length)
    this.length += end - position
    this.position = end
  }

  /** Adds `text`, aligned to unit `at` of the source; to nothing if that is before its start. */
  insert(text: string, at: number): void {
    this.reserve(text.length)
    this.text += text
    this.starts.fill(this.from.starts[at] ?? 0, this.length, this.length + text.length)
    this.ends.fill(this.from.ends[at] ?? 0, this.length, this.length + text.length)
    this.length += text.length
  }

  /** Leaves the source out up to `position`. */
  skipTo(position: number): void {
    this.position = position
  }

  alignment(): Alignment {
    return { starts: this.starts.subarray(0, this.length), ends: this.ends.subarray(0, this.length) }
  }

  private reserve(units: number): void {
    if (this.length + units <= this.starts.length) return
    const capacity = 2 * (this.length + units)
    const [starts, ends] = [new Int32Array(capacity), new Int32Array(capacity)]
    starts.set(this.starts)
    ends.set(this.ends)
    this.starts = starts
    this.ends = ends
  }
}

/**
 * A text on its way through the pipeline: what it has become, and which UTF-16 units of the original each of its own
 * units came from. Same alignment rules as `NormalizedString` of HF tokenizers, there in bytes. Immutable.
 */
export class NormalizedText {
  private constructor(
    readonly text: string,
    /** Where in the original this piece begins; normalizers do not move it. */
    readonly origin: number,
    /** While nothing was changed, unit i of the text is unit `shift + i` of the original and `alignment` is null. */
    private readonly shift: number,
    private readonly alignment: Alignment | null,
  ) {}

  static of(original: string): NormalizedText {
    return new NormalizedText(original, 0, 0, null)
  }

  /** Whether each unit is still the unit of the original that lies as far from the start. */
  get isIdentity(): boolean {
    return this.alignment === null
  }

  /** Start in the original of what unit `index` came from. */
  startOf(index: number): number {
    return this.alignment ? (this.alignment.starts[index] ?? this.origin) : this.shift + index
  }

  /** End in the original of what unit `index` came from. */
  endOf(index: number): number {
    return this.alignment ? (this.alignment.ends[index] ?? this.origin) : this.shift + index + 1
  }

  /** The part `[from, to)`, in UTF-16 units of this text. */
  slice(from: number, to: number): NormalizedText {
    if (from === 0 && to === this.text.length) return this
    const text = this.text.slice(from, to)
    if (!this.alignment) return new NormalizedText(text, this.shift + from, this.shift + from, null)
    const starts = this.alignment.starts.subarray(from, to)
    const ends = this.alignment.ends.subarray(from, to)
    return new NormalizedText(text, starts[0] ?? this.origin, 0, { starts, ends })
  }

  /** The part `[from, to)` that still counts as beginning where the whole began. */
  trim(from: number, to: number): NormalizedText {
    const part = this.slice(from, to)
    return part === this ? this : new NormalizedText(part.text, this.origin, part.shift, part.alignment)
  }

  /** Another text of the same length whose units came from the same places. */
  withText(text: string): NormalizedText {
    return new NormalizedText(text, this.origin, this.shift, this.alignment)
  }

  /**
   * Replaces each code point that matches a global pattern of single code points by `map(codePoint)`, any string; what
   * comes out is aligned to what went in.
   */
  mapCharacters(pattern: RegExp, map: (character: string) => string): NormalizedText {
    const { text } = this
    let builder: TextBuilder | undefined
    pattern.lastIndex = 0
    for (let match = pattern.exec(text); match; match = pattern.exec(text)) {
      const [character] = match
      const mapped = map(character)
      if (mapped === character) continue
      builder ??= new TextBuilder(text, this.aligned())
      builder.keepUntil(match.index)
      builder.insert(mapped, match.index)
      builder.skipTo(match.index + character.length)
    }
    return builder ? this.built(builder) : this
  }

  /** Puts `prefix` before the first code point and aligns it to that code point; an empty text stays empty. */
  prepend(prefix: string): NormalizedText {
    if (this.text === '' || prefix === '') return this
    const { starts, ends } = this.aligned()
    const newStarts = new Int32Array(prefix.length + starts.length).fill(starts[0]!, 0, prefix.length)
    const newEnds = new Int32Array(prefix.length + ends.length).fill(ends[0]!, 0, prefix.length)
    newStarts.set(starts, prefix.length)
    newEnds.set(ends, prefix.length)
    return new NormalizedText(prefix + this.text, this.origin, 0, { starts: newStarts, ends: newEnds })
  }

  /** Puts `suffix` after the last code point and aligns it to that code point. */
  append(suffix: string): NormalizedText {
    const { starts, ends } = this.aligned()
    const length = starts.length
    const newStarts = new Int32Array(length + suffix.length).fill(starts[length - 1] ?? this.origin)
    const newEnds = new Int32Array(length + suffix.length).fill(ends[length - 1] ?? this.origin)
    newStarts.set(starts)
    newEnds.set(ends)
    return new NormalizedText(this.text + suffix, this.origin, 0, { starts: newStarts, ends: newEnds })
  }

  /** Replaces each span `[from, to)` by `content`, aligned to the last unit of the span. Spans ascend and are flat pairs. */
  replaceSpans(spans: readonly number[], content: string): NormalizedText {
    if (spans.length === 0) return this
    const builder = new TextBuilder(this.text, this.aligned())
    for (let s = 0; s < spans.length; s += 2) {
      builder.keepUntil(spans[s]!)
      builder.insert(content, spans[s + 1]! - 1)
      builder.skipTo(spans[s + 1]!)
    }
    return this.built(builder)
  }

  /**
   * Replaces stretches of the text, in ascending order, by characters that each say what they change: 0 replaces the
   * next code point of this text, 1 is inserted (aligned to the code point before), -n replaces the next and drops n more.
   */
  transform(edits: Iterable<TextEdit>): NormalizedText {
    const { text } = this
    const builder = new TextBuilder(text, this.aligned())
    for (const { start, end, characters } of edits) {
      builder.keepUntil(start)
      let offset = start
      for (const [character, change] of characters) {
        builder.insert(character, change > 0 ? offset - 1 : offset)
        for (let consumed = change; consumed <= 0 && offset < text.length; consumed++) offset += unitsAt(text, offset)
      }
      builder.skipTo(end)
    }
    return this.built(builder)
  }

  private built(builder: TextBuilder): NormalizedText {
    builder.keepUntil(this.text.length)
    return new NormalizedText(builder.text, this.origin, 0, builder.alignment())
  }

  private aligned(): Alignment {
    if (this.alignment) return this.alignment
    const { text, shift } = this
    const starts = new Int32Array(text.length)
    const ends = new Int32Array(text.length)
    for (let i = 0; i < text.length; ) {
      const units = unitsAt(text, i)
      for (let k = 0; k < units; k++) {
        starts[i + k] = shift + i
        ends[i + k] = shift + i + units
      }
      i += units
    }
    return { starts, ends }
  }
}
