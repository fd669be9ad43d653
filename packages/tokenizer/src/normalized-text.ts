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

  /** Replaces each code point by `map(codePoint)`, any string; what comes out is aligned to what went in. */
  mapCharacters(map: (character: string) => string): NormalizedText {
    const { text } = this
    const { starts, ends } = this.aligned()
    const newStarts: number[] = []
    const newEnds: number[] = []
    let result = ''
    for (let i = 0; i < text.length; ) {
      const units = unitsAt(text, i)
      const mapped = map(units === 1 ? text[i]! : text.slice(i, i + units))
      for (let k = 0; k < mapped.length; k++) {
        newStarts.push(starts[i]!)
        newEnds.push(ends[i]!)
      }
      result += mapped
      i += units
    }
    return this.rebuilt(result, newStarts, newEnds)
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
    const { starts, ends } = this.aligned()
    const newStarts: number[] = []
    const newEnds: number[] = []
    let result = ''
    let last = 0
    const keepUntil = (to: number) => {
      result += this.text.slice(last, to)
      for (let i = last; i < to; i++) {
        newStarts.push(starts[i]!)
        newEnds.push(ends[i]!)
      }
    }
    for (let s = 0; s < spans.length; s += 2) {
      const to = spans[s + 1]!
      keepUntil(spans[s]!)
      for (let k = 0; k < content.length; k++) {
        newStarts.push(starts[to - 1] ?? this.origin)
        newEnds.push(ends[to - 1] ?? this.origin)
      }
      result += content
      last = to
    }
    keepUntil(this.text.length)
    return this.rebuilt(result, newStarts, newEnds)
  }

  /**
   * The text made of `characters`, each with the change it makes: 0 replaces the next code point of this text, 1 is
   * inserted (aligned to the code point before), -n replaces the next and drops n more.
   */
  transform(characters: Iterable<readonly [character: string, change: number]>): NormalizedText {
    const { text } = this
    const { starts, ends } = this.aligned()
    const newStarts: number[] = []
    const newEnds: number[] = []
    let result = ''
    let offset = 0
    for (const [character, change] of characters) {
      const from = change > 0 ? offset - 1 : offset
      for (let k = 0; k < character.length; k++) {
        newStarts.push(starts[from] ?? this.origin)
        newEnds.push(ends[from] ?? this.origin)
      }
      result += character
      for (let consumed = change; consumed <= 0 && offset < text.length; consumed++) offset += unitsAt(text, offset)
    }
    return this.rebuilt(result, newStarts, newEnds)
  }

  private rebuilt(text: string, starts: number[], ends: number[]): NormalizedText {
    const alignment = { starts: Int32Array.from(starts), ends: Int32Array.from(ends) }
    return new NormalizedText(text, this.origin, 0, alignment)
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
