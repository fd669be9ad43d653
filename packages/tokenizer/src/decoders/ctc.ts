import type { Decoder } from './decoder.ts'
import { cleanUp } from './wordpiece.ts'

/** Connectionist temporal classification: repeated tokens are one, pads are nothing. Graves et al. 2006. */
export class CtcDecoder implements Decoder {
  constructor(
    readonly padToken = '<pad>',
    readonly wordDelimiterToken = '|',
    readonly cleanup = true,
  ) {}

  decodeChain(tokens: readonly string[]): string[] {
    return tokens
      .filter((token, i) => token !== tokens[i - 1])
      .map(token => {
        const text = token.replaceAll(this.padToken, '')
        return this.cleanup ? cleanUp(text).replaceAll(this.wordDelimiterToken, ' ') : text
      })
      .filter(text => text !== '')
  }

  toJSON(): Record<string, unknown> {
    return {
      type: 'CTC',
      pad_token: this.padToken,
      word_delimiter_token: this.wordDelimiterToken,
      cleanup: this.cleanup,
    }
  }
}
