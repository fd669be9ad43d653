import type { Decoder } from './decoder.ts'

/** Takes up to `start` and `stop` of one character off the ends of each token. */
export class StripDecoder implements Decoder {
  constructor(
    readonly content: string,
    readonly start: number,
    readonly stop: number,
  ) {}

  decodeChain(tokens: readonly string[]): string[] {
    return tokens.map(token => {
      const { content } = this
      let from = 0
      for (let i = 0; i < this.start && token.startsWith(content, from); i++) from += content.length
      let to = token.length
      for (let i = 0; i < this.stop && to > from && token.endsWith(content, to); i++) to -= content.length
      return token.slice(from, to)
    })
  }

  toJSON(): Record<string, unknown> {
    return { type: 'Strip', content: this.content, start: this.start, stop: this.stop }
  }
}
