import type { Decoder } from './decoder.ts'

const byteToken = /^<0x([0-9A-Fa-f]{2})>$/
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Turns runs of `<0x00>` to `<0xFF>` into the text of these bytes, or U+FFFD for each if they are no UTF-8. */
export class ByteFallbackDecoder implements Decoder {
  decodeChain(tokens: readonly string[]): string[] {
    const result: string[] = []
    let bytes: number[] = []
    const flush = () => {
      if (bytes.length === 0) return
      try {
        result.push(strictDecoder.decode(Uint8Array.from(bytes)))
      } catch {
        for (const _ of bytes) result.push('\ufffd')
      }
      bytes = []
    }
    for (const token of tokens) {
      const byte = byteToken.exec(token)?.[1]
      if (byte !== undefined) bytes.push(Number.parseInt(byte, 16))
      else {
        flush()
        result.push(token)
      }
    }
    flush()
    return result
  }

  toJSON(): Record<string, unknown> {
    return { type: 'ByteFallback' }
  }
}
