/** Text from ids that come one by one. Same steps as `DecodeStream` of HF tokenizers. */
export class DecodeStream {
  private ids: number[] = []
  private prefix = ''
  private prefixCount = 0

  constructor(private readonly decode: (ids: readonly number[]) => string) {}

  /** The text that one more id completes; empty while a character is unfinished. */
  push(id: number): string {
    this.ids.push(id)
    const text = this.decode(this.ids)
    if (text.length <= this.prefix.length || text.endsWith('\ufffd')) return ''
    const added = text.slice(this.prefix.length)
    // The last step's ids stay as the context in which the next ones are decoded; a decoder looks no further back.
    this.ids = this.ids.slice(this.prefixCount)
    this.prefix = this.decode(this.ids)
    this.prefixCount = this.ids.length
    return added
  }

  /** What is left when no more ids come: an unfinished character as U+FFFD. */
  end(): string {
    const rest = this.decode(this.ids).slice(this.prefix.length)
    this.ids = []
    this.prefix = ''
    this.prefixCount = 0
    return rest
  }
}
