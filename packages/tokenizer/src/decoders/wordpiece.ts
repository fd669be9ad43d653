import type { Decoder } from './decoder.ts'

/** Spaces that English spelling does not have, in the order in which HF takes them away. */
const replacements: readonly (readonly [from: string, to: string])[] = [
  [' .', '.'],
  [' ?', '?'],
  [' !', '!'],
  [' ,', ','],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [' do not', " don't"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
]

/** Closes up punctuation and contractions of English. */
export function cleanUp(text: string): string {
  return replacements.reduce((current, [from, to]) => current.replaceAll(from, to), text)
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
