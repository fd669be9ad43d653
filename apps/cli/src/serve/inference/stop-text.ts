/** Cuts a text that comes in pieces before the first of some texts; what may become one is held back. */
export class StopText {
  #held = ''
  #isStopped = false

  constructor(private readonly stops: readonly string[]) {}

  get isStopped(): boolean {
    return this.#isStopped
  }

  /** What is certain to come before a stop text. */
  push(piece: string): string {
    if (this.#isStopped) return ''
    const text = this.#held + piece
    const found = this.stops.map(stop => text.indexOf(stop)).filter(at => at >= 0)
    if (found.length > 0) {
      this.#isStopped = true
      return text.slice(0, Math.min(...found))
    }
    const held = Math.max(0, ...this.stops.map(stop => overlap(text, stop)))
    this.#held = text.slice(text.length - held)
    return text.slice(0, text.length - held)
  }

  /** The rest, when no more comes. */
  end(): string {
    const rest = this.#isStopped ? '' : this.#held
    this.#held = ''
    return rest
  }
}

/** How many characters at the end of a text are the beginning of another, which is not whole in it. */
export function overlap(text: string, beginning: string): number {
  for (let length = Math.min(text.length, beginning.length - 1); length > 0; length--) {
    if (text.endsWith(beginning.slice(0, length))) return length
  }
  return 0
}
