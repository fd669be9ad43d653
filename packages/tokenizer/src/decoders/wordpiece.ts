import type { Decoder } from './decoder.ts'
import { closeUpEnglish } from './english-spacing.ts'

/** What tokenizers does for a WordPiece decoder: transformers' list and one contraction more. */
export function cleanUp(text: string): string {
  return closeUpEnglish(text).replaceAll(' do not', " don't")
}

/** Joins tokens that carry the prefix to the one before and puts spaces before the others. */
export class WordPieceDecoder implements Decoder {
  constructor(
    readonly prefix = '##',
    readonly cleanup = true,
  ) {}

  decodeChain(tokens: readonly string[]): string[] {
    return tokens.map((token, i) => {
      let text = token
      if (i > 0) text = token.startsWith(this.prefix) ? token.slice(this.prefix.length) : ` ${token}`
      return this.cleanup ? cleanUp(text) : text
    })
  }

  toJSON(): Record<string, unknown> {
    return { type: 'WordPiece', prefix: this.prefix, cleanup: this.cleanup }
  }
}
