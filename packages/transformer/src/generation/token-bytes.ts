import { byteLevelAlphabet, type Tokenizer } from '@heed/tokenizer'

/** What each token of a vocabulary writes, by id; an id that is no token is absent. */
export type TokenBytes = ReadonlyMap<number, Uint8Array>

const known = new WeakMap<Tokenizer, TokenBytes>()
const encoder = new TextEncoder()
const bytePattern = /^<0x([0-9A-Fa-f]{2})>$/

/**
 * The bytes that each token of a tokenizer writes within a text, so that tokens of half a character can be told apart. Same
 * bytes as HF's `StopStringCriteria`; made once for a tokenizer.
 */
export function tokenBytes(tokenizer: Tokenizer): TokenBytes {
  const found = known.get(tokenizer)
  if (found) return found
  const write = writerOf(tokenizer)
  const bytes = new Map(Array.from(tokenizer.vocabulary(), ([token, id]) => [id, write(token, id)]))
  known.set(tokenizer, bytes)
  return bytes
}

function writerOf(tokenizer: Tokenizer): (token: string, id: number) => Uint8Array {
  const decoder = tokenizer.toJSON().decoder
  const within = textWithin(tokenizer)
  if (hasType(decoder, 'ByteFallback')) {
    return (token, id) => {
      const byte = bytePattern.exec(token)
      return byte ? Uint8Array.of(Number.parseInt(byte[1]!, 16)) : encoder.encode(within(id))
    }
  }
  if (!hasType(decoder, 'ByteLevel')) return (_, id) => encoder.encode(within(id))
  const byteOf = new Map(byteLevelAlphabet.map((character, byte) => [character, byte]))
  return (token, id) => {
    const bytes = Array.from(token, character => byteOf.get(character))
    return bytes.includes(undefined) ? encoder.encode(within(id)) : Uint8Array.from(bytes as number[])
  }
}

/** Whether a decoder of tokenizer.json, or one within it, is of a type. */
function hasType(decoder: unknown, type: string): boolean {
  if (typeof decoder !== 'object' || decoder === null) return false
  if ('type' in decoder && decoder.type === type) return true
  return Object.values(decoder).some(value => hasType(value, type))
}

/** The text of a token after another one, where decoders neither add nor drop the space of a beginning. */
function textWithin(tokenizer: Tokenizer): (id: number) => string {
  const options = { skipSpecialTokens: false, cleanUpTokenizationSpaces: false }
  const before = [...tokenizer.encode('abcdef', { addSpecialTokens: false }).ids]
  const prefix = tokenizer.decode(before, options).length
  return id => tokenizer.decode([...before, id], options).slice(prefix)
}
