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

const encoder = new TextEncoder()

/** The UTF-8 bytes of a text, each as its character. */
export function toByteCharacters(text: string): string {
  let result = ''
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) result += characters[unit]
    else {
      let end = i + 1
      while (end < text.length && text.charCodeAt(end) >= 0x80) end++
      for (const byte of encoder.encode(text.slice(i, end))) result += characters[byte]
      i = end - 1
    }
  }
  return result
}
