/** Orders texts by their code points, as UTF-8 does and UTF-16 does not: a surrogate pair lies above all single units. */
export function compareByCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    if (a.charCodeAt(i) !== b.charCodeAt(i)) return a.codePointAt(i)! - b.codePointAt(i)!
  }
  return a.length - b.length
}
