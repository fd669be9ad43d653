import type { Decoder } from './decoder.ts'

/** Turns the suffix that ends words, `</w>`, into spaces between them. */
export class BpeDecoder implements Decoder {
  constructor(readonly suffix = '</w>') {}

  decodeChain(tokens: readonly string[]): string[] {
    const last = tokens.length - 1
    return tokens.map((token, i) => (this.suffix === '' ? token : token.replaceAll(this.suffix, i === last ? '' : ' ')))
  }

  toJSON(): Record<string, unknown> {
    return { type: 'BPEDecoder', suffix: this.suffix }
  }
}
