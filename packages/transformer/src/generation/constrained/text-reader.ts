/** Reads a source from left to right. */
export class TextReader {
  protected at = 0

  constructor(protected readonly source: string) {}

  /** Whether this token comes next; it is passed over. */
  protected take(token: string): boolean {
    if (!this.source.startsWith(token, this.at)) return false
    this.at += token.length
    return true
  }

  /** What comes next by a sticky pattern; it is passed over. */
  protected match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.source)
    if (found) this.at += found[0].length
    return found
  }
}
