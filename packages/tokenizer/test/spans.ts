/** Flat pairs of UTF-16 positions as pairs of code point positions, which HF counts in. */
export function toCodePointSpans(text: string, spans: readonly number[]): [number, number][] {
  const count = (position: number) => [...text.slice(0, position)].length
  const pairs: [number, number][] = []
  for (let i = 0; i < spans.length; i += 2) pairs.push([count(spans[i]!), count(spans[i + 1]!)])
  return pairs
}
