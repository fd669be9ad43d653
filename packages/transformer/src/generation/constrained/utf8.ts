import type { Range } from './grammar.ts'

/** Ranges of bytes, one for each byte of a character. */
export type ByteRanges = readonly Range[]

/** Last code point of each length in UTF-8, and the surrogates, which no UTF-8 text holds. */
const borders = [0x7f, 0x7ff, 0xd7ff, 0xffff, 0x10ffff]
const SURROGATES: Range = [0xd800, 0xdfff]

/** The UTF-8 forms of a range of code points, as few byte patterns as there are; the way of Russ Cox's RE2. */
export function utf8Ranges([first, last]: Range): ByteRanges[] {
  if (first > last) return []
  if (first <= SURROGATES[1] && last >= SURROGATES[0]) {
    return [...utf8Ranges([first, SURROGATES[0] - 1]), ...utf8Ranges([SURROGATES[1] + 1, last])]
  }
  const border = borders.find(end => first <= end && end < last)
  if (border !== undefined) return [...utf8Ranges([first, border]), ...utf8Ranges([border + 1, last])]
  for (const bits of [6, 12, 18]) {
    if (last <= 0x7f || first >> bits === last >> bits) continue
    // The bytes that follow must take all values, or the leading ones must agree.
    const block = (1 << bits) - 1
    if ((first & block) !== 0) {
      return [...utf8Ranges([first, first | block]), ...utf8Ranges([(first | block) + 1, last])]
    }
    if ((last & block) !== block) {
      return [...utf8Ranges([first, (last & ~block) - 1]), ...utf8Ranges([last & ~block, last])]
    }
  }
  const [low, high] = [utf8(first), utf8(last)]
  return [low.map((byte, i): Range => [byte, high[i]!])]
}

function utf8(point: number): number[] {
  return [...new TextEncoder().encode(String.fromCodePoint(point))]
}
