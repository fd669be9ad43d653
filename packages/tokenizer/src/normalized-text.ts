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

/** A value that is made when it is first asked for. */
class Deferred<T> {
  private made: T | undefined

  constructor(private make: (() => T) | undefined) {}

  get value(): T {
    if (this.make) {
      this.made = this.make()
      this.make = undefined // and with it the texts that it was made from
    }
    return this.made as T
  }
}

/** The alignment of a text put together from stretches of another and insertions. */
class AlignmentBuilder {
  private starts: Int32Array
  private ends: Int32Array
  private length = 0
  private position = 0

  constructor(
    private readonly from: Alignment,
    /** Where the text begins in the original. */
    private readonly origin: number,
  ) {
    this.starts = new Int32Array(from.starts.length + 16)
    this.ends = new Int32Array(from.starts.length + 16)
  }

  /** Copies the source from where the builder stands to `end`. */
  keepUntil(end: number): void {
    const { position } = this
    if (end <= position) return
    this.reserve(end - position)
    this.starts.set(this.from.starts.subarray(position, end), this.length)
    this.ends.set(this.from.ends.subarray(position, end), this.length)
    this.length += end - position
    this.position = end
  }

  /** Adds so many units, aligned to unit `at` of the source; to the place before it if that is none. */
  insert(units: number, at: number): void {
    this.reserve(units)
    this.starts.fill(this.from.starts[at] ?? this.origin, this.length, this.length + units)
    this.ends.fill(this.from.ends[at] ?? this.origin, this.length, this.length + units)
    this.length += units
  }

  /** Leaves the source out up to `position`. */
  skipTo(position: number): void {
    this.position = position
  }

  /** The alignment, the rest of the source copied. */
  finish(): Alignment {
    this.keepUntil(this.from.starts.length)
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
 * units came from, which is worked out when it is asked for. Same alignment rules as `NormalizedString` of HF
 * tokenizers, there in bytes. Immutable.
 */
export class NormalizedText {
  private constructor(
    readonly text: string,
    private readonly originValue: Deferred<number> | number,
    /** While nothing was changed, unit i of the text is unit `shift + i` of the original and `alignment` is null. */
    private readonly shift: number,
    private readonly alignment: Deferred<Alignment> | null,
  ) {}

  static of(original: string): NormalizedText {
    return new NormalizedText(original, 0, 0, null)
  }

  /** Where in the original this piece begins; normalizers do not move it. */
  get origin(): number {
    return typeof this.originValue === 'number' ? this.originValue : this.originValue.value
  }

  /** Whether each unit is still the unit of the original that lies as far from the start. */
  get isIdentity(): boolean {
    return this.alignment === null
  }

  /** Start in the original of what unit `index` came from. */
  startOf(index: number): number {
    return this.alignment ? (this.alignment.value.starts[index] ?? this.origin) : this.shift + index
  }

  /** End in the original of what unit `index` came from. */
  endOf(index: number): number {
    return this.alignment ? (this.alignment.value.ends[index] ?? this.origin) : this.shift + index + 1
  }

  /** The part `[from, to)`, in UTF-16 units of this text. */
  slice(from: number, to: number): NormalizedText {
    if (from === 0 && to === this.text.length) return this
    const text = this.text.slice(from, to)
    const { alignment } = this
    if (!alignment) return new NormalizedText(text, this.shift + from, this.shift + from, null)
    const origin = new Deferred(() => (from < to ? alignment.value.starts[from]! : this.origin))
    const part = new Deferred(() => {
      const { starts, ends } = alignment.value
      return { starts: starts.subarray(from, to), ends: ends.subarray(from, to) }
    })
    return new NormalizedText(text, origin, 0, part)
  }

  /** The part `[from, to)` that still counts as beginning where the whole began. */
  trim(from: number, to: number): NormalizedText {
    const part = this.slice(from, to)
    return part === this ? this : new NormalizedText(part.text, this.originValue, part.shift, part.alignment)
  }

  /** Another text of the same length whose units came from the same places. */
  withText(text: string): NormalizedText {
    return new NormalizedText(text, this.originValue, this.shift, this.alignment)
  }

  /**
   * Replaces each code point that matches a global pattern of single code points by any string, in which `$&` stands for
   * it; what comes out is aligned to what went in.
   */
  replaceCharacters(pattern: RegExp, replacement: string): NormalizedText {
    return this.mapped(this.text.replace(pattern, replacement), pattern, it => replacement.replaceAll('$&', () => it))
  }

  /** The same with what `map` gives for each. */
  mapCharacters(pattern: RegExp, map: (character: string) => string): NormalizedText {
    return this.mapped(
      this.text.replace(pattern, it => map(it)),
      pattern,
      map,
    )
  }

  private mapped(result: string, pattern: RegExp, map: (character: string) => string): NormalizedText {
    const { text } = this
    if (result === text) return this
    return this.changed(result, builder => {
      for (const { 0: character, index } of text.matchAll(pattern)) {
        const replacement = map(character)
        if (replacement === character) continue
        builder.keepUntil(index)
        builder.insert(replacement.length, index)
        builder.skipTo(index + character.length)
      }
    })
  }

  /** Puts `prefix` before the first code point and aligns it to that code point; an empty text stays empty. */
  prepend(prefix: string): NormalizedText {
    if (this.text === '' || prefix === '') return this
    return this.changed(prefix + this.text, builder => builder.insert(prefix.length, 0))
  }

  /** Puts `suffix` after the last code point and aligns it to that code point. */
  append(suffix: string): NormalizedText {
    const { length } = this.text
    return this.changed(this.text + suffix, builder => {
      builder.keepUntil(length)
      builder.insert(suffix.length, length - 1)
    })
  }

  /** Replaces each span `[from, to)` by `content`, aligned to the last unit of the span. Spans ascend and are flat pairs. */
  replaceSpans(spans: readonly number[], content: string): NormalizedText {
    if (spans.length === 0) return this
    let text = ''
    let position = 0
    for (let s = 0; s < spans.length; s += 2) {
      text += this.text.slice(position, spans[s]!) + content
      position = spans[s + 1]!
    }
    return this.changed(text + this.text.slice(position), builder => {
      for (let s = 0; s < spans.length; s += 2) {
        builder.keepUntil(spans[s]!)
        builder.insert(content.length, spans[s + 1]! - 1)
        builder.skipTo(spans[s + 1]!)
      }
    })
  }

  /**
   * The text that becomes `result` by replacing stretches, in ascending order, by characters that each say what they
   * change: 0 replaces the next code point of this text, 1 is inserted (aligned to the code point before), -n replaces
   * the next and drops n more.
   */
  transform(result: string, edits: () => Iterable<TextEdit>): NormalizedText {
    const { text } = this
    return this.changed(result, builder => {
      for (const { start, end, characters } of edits()) {
        builder.keepUntil(start)
        let offset = start
        for (const [character, change] of characters) {
          builder.insert(character.length, change > 0 ? offset - 1 : offset)
          for (let consumed = change; consumed <= 0 && offset < text.length; consumed++) offset += unitsAt(text, offset)
        }
        builder.skipTo(end)
      }
    })
  }

  private changed(text: string, build: (builder: AlignmentBuilder) => void): NormalizedText {
    const alignment = new Deferred(() => {
      const builder = new AlignmentBuilder(this.aligned(), this.origin)
      build(builder)
      return builder.finish()
    })
    return new NormalizedText(text, this.originValue, 0, alignment)
  }

  private aligned(): Alignment {
    if (this.alignment) return this.alignment.value
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
