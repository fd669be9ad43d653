import { compilePattern, matchSpans, type Pattern } from '../regex.ts'
import type { Decoder } from './decoder.ts'

/** Replaces the matches of a pattern in each token. */
export class ReplaceDecoder implements Decoder {
  private readonly regExp: RegExp

  /** Throws HEED_CONFIG_INVALID. */
  constructor(
    readonly pattern: Pattern,
    readonly content: string,
  ) {
    this.regExp = compilePattern(pattern)
  }

  decodeChain(tokens: readonly string[]): string[] {
    return tokens.map(token => this.replace(token))
  }

  toJSON(): Record<string, unknown> {
    return { type: 'Replace', pattern: this.pattern, content: this.content }
  }

  private replace(token: string): string {
    if ('String' in this.pattern) return token.replace(this.regExp, () => this.content)
    let text = ''
    let position = 0
    const spans = matchSpans(token, this.regExp)
    for (let s = 0; s < spans.length; s += 2) {
      text += token.slice(position, spans[s]) + this.content
      position = spans[s + 1]!
    }
    return text + token.slice(position)
  }
}
