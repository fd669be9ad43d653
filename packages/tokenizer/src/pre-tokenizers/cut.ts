import type { PieceSink } from '../pre-tokenized-text.ts'
import { matchSpans } from '../regex.ts'

/** What becomes of the delimiters between pieces; HF's names. */
export type SplitBehavior = 'Removed' | 'Isolated' | 'MergedWithPrevious' | 'MergedWithNext' | 'Contiguous'

export const splitBehaviors: readonly SplitBehavior[] = [
  'Removed',
  'Isolated',
  'MergedWithPrevious',
  'MergedWithNext',
  'Contiguous',
]

/** Cuts a text at the matches of a global pattern; `isInverted` takes what lies between matches as the delimiters. */
export function cutByPattern(
  text: string,
  pattern: RegExp,
  behavior: SplitBehavior,
  isInverted: boolean,
  sink: PieceSink,
): void {
  if (behavior === 'Isolated' && addIfCovering(text, pattern, sink)) return
  const stretches = stretchesOf(text, pattern, isInverted)
  if (behavior === 'MergedWithNext') stretches.reverse()
  const merged: Stretch[] = []
  let wasDelimiter = false
  for (const stretch of stretches) {
    const last = merged.at(-1)
    if (last && isMerged(behavior, stretch.isDelimiter, wasDelimiter)) {
      if (behavior === 'MergedWithNext') last.start = stretch.start
      else last.end = stretch.end
    } else merged.push(stretch)
    wasDelimiter = stretch.isDelimiter
  }
  if (behavior === 'MergedWithNext') merged.reverse()
  for (const { start, end, isDelimiter } of merged) {
    if (behavior !== 'Removed' || !isDelimiter) sink.add(start, end)
  }
}

interface Stretch {
  start: number
  end: number
  readonly isDelimiter: boolean
}

/** Patterns of tokenizers mostly leave no gap: then the platform finds all pieces in one call. */
function addIfCovering(text: string, pattern: RegExp, sink: PieceSink): boolean {
  const pieces = text.match(pattern)
  if (!pieces) return false
  let length = 0
  for (const piece of pieces) length += piece.length
  if (length !== text.length) return false
  sink.addAll(pieces.includes('') ? pieces.filter(piece => piece !== '') : pieces)
  return true
}

function stretchesOf(text: string, pattern: RegExp, isInverted: boolean): Stretch[] {
  const stretches: Stretch[] = []
  let last = 0
  const spans = matchSpans(text, pattern)
  for (let s = 0; s < spans.length; s += 2) {
    const [start, end] = [spans[s]!, spans[s + 1]!]
    if (start > last) stretches.push({ start: last, end: start, isDelimiter: isInverted })
    stretches.push({ start, end, isDelimiter: !isInverted })
    last = end
  }
  if (last < text.length) stretches.push({ start: last, end: text.length, isDelimiter: isInverted })
  return stretches
}

function isMerged(behavior: SplitBehavior, isDelimiter: boolean, wasDelimiter: boolean): boolean {
  if (behavior === 'Contiguous') return isDelimiter === wasDelimiter
  if (behavior === 'MergedWithPrevious' || behavior === 'MergedWithNext') return isDelimiter && !wasDelimiter
  return false
}
