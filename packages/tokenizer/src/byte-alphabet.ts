/**
 * The reversible map of GPT-2 from the 256 bytes to 256 printable characters: printable Latin-1 bytes stand for
 * themselves, the others follow from U+0100 on in order. Radford et al. 2019, `bytes_to_unicode` of openai/gpt-2.
 */
const characters: string[] = []
const bytes: Int16Array = new Int16Array(0x144).fill(-1)

let next = 0x100
for (let byte = 0; byte < 256; byte++) {
  const isPrintable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae
  const code = isPrintable ? byte : next++
  characters.push(String.fromCharCode(code))
  bytes[code] = byte
}

/** The character that stands for each byte. */
export const byteCharacters: readonly string[] = characters

/** The byte that a UTF-16 unit stands for, or -1. */
export function byteOfUnit(unit: number): number {
  return unit < bytes.length ? bytes[unit]! : -1
}

/** The UTF-8 bytes of a text, each as its character; those of U+FFFD for a lone surrogate. */
export function toByteCharacters(text: string): string {
  let result = ''
  for (let i = 0; i < text.length; i++) {
    const code = text.codePointAt(i)!
    if (code < 0x80) result += characters[code]
    else if (code < 0x800) result += characters[0xc0 | (code >> 6)]! + characters[0x80 | (code & 0x3f)]
    else if (code < 0x10000) {
      const known = code >= 0xd800 && code <= 0xdfff ? 0xfffd : code
      result += characters[0xe0 | (known >> 12)]! + tailOf(known)
    } else {
      result += characters[0xf0 | (code >> 18)]! + characters[0x80 | ((code >> 12) & 0x3f)] + tailOf(code)
      i++
    }
  }
  return result
}

/** The last two bytes of a code point of three or four. */
function tailOf(code: number): string {
  return characters[0x80 | ((code >> 6) & 0x3f)]! + characters[0x80 | (code & 0x3f)]
}
