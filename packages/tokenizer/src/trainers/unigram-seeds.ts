import type { ScoredToken } from '../models/unigram.ts'
import { compareByCodePoints } from './code-points.ts'

/**
 * The pieces to start from, with log probabilities: all characters, and the substrings that occur at least twice and are
 * followed by different characters, most covering first. Kudo 2018, section 3.2; same seeds as `UnigramTrainer` of HF.
 */
export function seedPieces(
  words: readonly (readonly [word: string, count: number])[],
  maxLength: number,
  maxSeeds: number,
): ScoredToken[] {
  const characters = new Map<string, number>()
  for (const [word, count] of words) {
    for (const character of word) characters.set(character, (characters.get(character) ?? 0) + count)
  }
  characters.delete('\0')
  const seeds = [...characters].sort(descending)
  const substrings = repeatedSubstrings(words, maxLength).sort(descending)
  for (const substring of substrings) {
    if (seeds.length >= maxSeeds) break
    seeds.push(substring)
  }
  const logSum = Math.log(seeds.reduce((sum, [, score]) => sum + score, 0))
  return seeds.map(([piece, score]) => [piece, Math.log(score) - logSum])
}

function descending([a, scoreA]: [string, number], [b, scoreB]: [string, number]): number {
  return scoreB - scoreA || compareByCodePoints(b, a)
}

/**
 * Substrings of 2 to `maxLength` code points that begin two suffixes and end where these part, with occurrences times
 * length: the inner nodes of a suffix tree, found in the sorted list of suffixes.
 */
function repeatedSubstrings(
  words: readonly (readonly [word: string, count: number])[],
  maxLength: number,
): [string, number][] {
  const { codes, ends } = flatten(words)
  const suffixes = Int32Array.from({ length: codes.length }, (_, i) => i)
  suffixes.sort((a, b) => {
    const common = commonPrefix(codes, ends, a, b, maxLength)
    // The end of a word sorts before any character.
    return (a + common < ends[a]! ? codes[a + common]! : -1) - (b + common < ends[b]! ? codes[b + common]! : -1)
  })
  const found: [string, number][] = []
  const open: { length: number; first: number }[] = []
  for (let i = 1; i <= suffixes.length; i++) {
    const length = i < suffixes.length ? branchLength(codes, ends, suffixes[i - 1]!, suffixes[i]!, maxLength) : 0
    let first = i - 1
    while (open.length > 0 && open.at(-1)!.length > length) {
      const closed = open.pop()!
      first = closed.first
      if (closed.length < 2 || closed.length > maxLength) continue
      const start = suffixes[closed.first]!
      const text = String.fromCodePoint(...codes.subarray(start, start + closed.length))
      if (!text.includes('\0')) found.push([text, (i - closed.first) * closed.length])
    }
    if (length > 0 && open.at(-1)?.length !== length) open.push({ length, first })
  }
  return found
}

/** All words as code points one after the other, and for each the index where its word ends. */
function flatten(words: readonly (readonly [word: string, count: number])[]): { codes: Int32Array; ends: Int32Array } {
  const codes: number[] = []
  const ends: number[] = []
  for (const [word] of words) {
    for (const character of word) codes.push(character.codePointAt(0)!)
    while (ends.length < codes.length) ends.push(codes.length)
  }
  return { codes: Int32Array.from(codes), ends: Int32Array.from(ends) }
}

/** How many characters two suffixes share within their words, counted up to one more than `maxLength`. */
function commonPrefix(codes: Int32Array, ends: Int32Array, a: number, b: number, maxLength: number): number {
  const most = Math.min(ends[a]! - a, ends[b]! - b, maxLength + 1)
  let common = 0
  while (common < most && codes[a + common] === codes[b + common]) common++
  return common
}

/** Where two suffixes part; beyond `maxLength` if they reach the ends of their words together, where they go on alike. */
function branchLength(codes: Int32Array, ends: Int32Array, a: number, b: number, maxLength: number): number {
  const common = commonPrefix(codes, ends, a, b, maxLength)
  return a + common === ends[a] && b + common === ends[b] ? maxLength + 1 : common
}
