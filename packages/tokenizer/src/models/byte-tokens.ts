import type { Vocabulary } from '../vocabulary.ts'

const encoder = new TextEncoder()

/** The tokens `<0x00>` to `<0xFF>`, as SentencePiece spells bytes. */
export const byteTokens: readonly string[] = Array.from(
  { length: 256 },
  (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
)

/** The ids of the byte tokens of a text's UTF-8 bytes, or undefined if one is missing. */
export function byteTokenIds(text: string, vocabulary: Vocabulary): number[] | undefined {
  const ids: number[] = []
  for (const byte of encoder.encode(text)) {
    const id = vocabulary.idOf(byteTokens[byte]!)
    if (id === undefined) return undefined
    ids.push(id)
  }
  return ids
}
