import { compilePattern, type Pattern } from '../regex.ts'
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
    return tokens.map(token => token.replace(this.regExp, () => this.content))
  }

  toJSON(): Record<string, unknown> {
    return { type: 'Replace', pattern: this.pattern, content: this.content }
  }
}
