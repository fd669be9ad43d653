/** Turns tokens back into text. */
export interface Decoder {
  /** The texts whose concatenation is the result, so that decoders can follow each other. */
  decodeChain(tokens: readonly string[]): string[]
  /** The `decoder` object of tokenizer.json. */
  toJSON(): Record<string, unknown>
}
