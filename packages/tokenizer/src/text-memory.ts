/** Longer texts hardly repeat. */
const LONGEST_KEPT = 128
/** About 10 MB of short words; past it the memory starts anew, so that a change of subject is followed. */
const MOST_KEPT = 65536

/** Remembers what short texts became. */
export class TextMemory<Value> {
  private readonly kept = new Map<string, Value>()

  get(text: string): Value | undefined {
    return text.length > LONGEST_KEPT ? undefined : this.kept.get(text)
  }

  /** Keeps the value of a text that is short enough; gives it back. */
  add(text: string, value: Value): Value {
    if (text.length > LONGEST_KEPT) return value
    if (this.kept.size >= MOST_KEPT) this.kept.clear()
    this.kept.set(detached(text), value)
    return value
  }
}

/** A copy that stands alone: a part that was cut out of a text keeps the whole text in memory. */
function detached(part: string): string {
  const units = new Array<number>(part.length)
  for (let i = 0; i < part.length; i++) units[i] = part.charCodeAt(i)
  return String.fromCharCode(...units)
}
