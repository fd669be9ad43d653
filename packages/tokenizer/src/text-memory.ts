/** Longer texts hardly repeat. */
const LONGEST_KEPT = 128
/** About 10 MB of short words; past it the memory starts anew, so that a change of subject is followed. */
const MOST_KEPT = 65536

/** What texts become by `make`, remembered for short ones. */
export class TextMemory<Value> {
  private readonly kept = new Map<string, Value>()

  constructor(private readonly make: (text: string) => Value) {}

  /** What `text` becomes. */
  of(text: string): Value {
    if (text.length > LONGEST_KEPT) return this.make(text)
    return this.kept.get(text) ?? this.keep(detached(text))
  }

  private keep(text: string): Value {
    if (this.kept.size >= MOST_KEPT) this.kept.clear()
    const value = this.make(text)
    this.kept.set(text, value)
    return value
  }
}

/** A copy that stands alone: a part that was cut out of a text keeps the whole text in memory. */
function detached(part: string): string {
  const units = new Array<number>(part.length)
  for (let i = 0; i < part.length; i++) units[i] = part.charCodeAt(i)
  return String.fromCharCode(...units)
}
