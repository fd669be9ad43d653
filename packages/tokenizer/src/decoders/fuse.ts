import type { Decoder } from './decoder.ts'

/** Joins all tokens into one, for decoders that follow and look at ends. */
export class FuseDecoder implements Decoder {
  decodeChain(tokens: readonly string[]): string[] {
    return [tokens.join('')]
  }

  toJSON(): Record<string, unknown> {
    return { type: 'Fuse' }
  }
}
