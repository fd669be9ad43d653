import { byteOfUnit } from '../byte-alphabet.ts'
import { type ByteLevelOptions, byteLevelJson, completeByteLevel } from '../pre-tokenizers/byte-level.ts'
import type { Decoder } from './decoder.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** Turns byte characters back into bytes and these into text; invalid UTF-8 becomes U+FFFD. */
export class ByteLevelDecoder implements Decoder {
  readonly options: Required<ByteLevelOptions>

  constructor(options: ByteLevelOptions = {}) {
    this.options = completeByteLevel(options)
  }

  decodeChain(tokens: readonly string[]): string[] {
    let bytes = new Uint8Array(256)
    let length = 0
    for (const token of tokens) {
      // A token with any other character (a special token) stands for its own UTF-8 bytes.
      const own = isByteLevel(token) ? undefined : encoder.encode(token)
      const needed = length + (own?.length ?? token.length)
      if (needed > bytes.length) {
        const larger = new Uint8Array(2 * needed)
        larger.set(bytes)
        bytes = larger
      }
      if (own) bytes.set(own, length)
      else for (let i = 0; i < token.length; i++) bytes[length + i] = byteOfUnit(token.charCodeAt(i))
      length = needed
    }
    return [decoder.decode(bytes.subarray(0, length))]
  }

  toJSON(): Record<string, unknown> {
    return byteLevelJson(this.options)
  }
}

function isByteLevel(token: string): boolean {
  for (let i = 0; i < token.length; i++) if (byteOfUnit(token.charCodeAt(i)) < 0) return false
  return true
}
