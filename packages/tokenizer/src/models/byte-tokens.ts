import type { Vocabulary } from '../vocabulary.ts'

const encoder = new TextEncoder()

/** The ids of the tokens `<0x00>` to `<0xFF>` of a text's UTF-8 bytes, or undefined if one is missing. */
export function byteTokenIds(text: string, vocabulary: Vocabulary): number[] | undefined {
  const ids: number[] = []
  for (const byte of encoder.encode(text)) {
    const id = vocabulary.idOf(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`)
    if (id === undefined) return undefined
    ids.push(id)
  }
  return ids
}
