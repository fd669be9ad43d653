import { HeedError } from '@heed/tensor-backend'

export interface BleuScore {
  /** From 0 to 100. */
  score: number
  /** Of n-grams of 1 to 4 tokens, in percent, smoothed. */
  precisions: number[]
  brevityPenalty: number
  /** Tokens of the translations, and of the references that they are compared with. */
  systemLength: number
  referenceLength: number
}

const maxOrder = 4

/** What separates tokens for Python's `str.split()`, which differs a little from `\s`. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: Python counts these as space
const space = /(?:[^\S\ufeff]|[\x1c-\x1f\x85])+/u

const entities: readonly (readonly [string, string])[] = [
  ['&quot;', '"'],
  ['&amp;', '&'],
  ['&lt;', '<'],
  ['&gt;', '>'],
]

const separations: readonly (readonly [RegExp, string])[] = [
  [/([{-~[-` -&(-+:-@/])/gu, ' $1 '],
  [/([^0-9])([.,])/gu, '$1 $2 '],
  [/([.,])([^0-9])/gu, ' $1 $2'],
  [/([0-9])(-)/gu, '$1 $2 '],
]

/** The tokens of a line as WMT's mteval-v13a cuts them: punctuation apart, numbers whole. */
function tokenize13a(line: string): string[] {
  const joined = line.replaceAll('<skipped>', '').replaceAll('-\n', '').replaceAll('\n', ' ')
  const plain = entities.reduce((text, [entity, character]) => text.replaceAll(entity, character), joined)
  const separated = separations.reduce((text, [pattern, parts]) => text.replace(pattern, parts), ` ${plain} `)
  return separated.split(space).filter(token => token !== '')
}

/** How often each n-gram of 1 to 4 tokens occurs, by its order. */
function countNgrams(tokens: readonly string[]): Map<string, number>[] {
  return Array.from({ length: maxOrder }, (_, i) => {
    const counts = new Map<string, number>()
    for (let start = 0; start + i < tokens.length; start++) {
      const ngram = tokens.slice(start, start + i + 1).join(' ')
      counts.set(ngram, (counts.get(ngram) ?? 0) + 1)
    }
    return counts
  })
}

/** The reference whose length is nearest, of two the shorter. */
function nearestLength(length: number, lengths: readonly number[]): number {
  return lengths.reduce((best, other) => {
    const difference = Math.abs(other - length) - Math.abs(best - length)
    return difference < 0 || (difference === 0 && other < best) ? other : best
  })
}

/**
 * How much a corpus of translations has in common with references: the geometric mean of the precisions of its n-grams,
 * less a penalty for brevity (Papineni et al. 2002). `references` are whole corpora, of which each line may have several:
 * `bleu(translations, [references])`. Same number as `sacrebleu.corpus_bleu` with its defaults (13a, exponential smoothing).
 * Throws HEED_ARGUMENT_INVALID.
 */
export function bleu(translations: readonly string[], references: readonly (readonly string[])[]): BleuScore {
  checkLines(translations, references)
  const correct = Array<number>(maxOrder).fill(0)
  const total = Array<number>(maxOrder).fill(0)
  let systemLength = 0
  let referenceLength = 0
  for (const [line, translation] of translations.entries()) {
    const tokens = tokenize13a(translation.trimEnd())
    const known = references.map(corpus => tokenize13a(corpus[line]!.trimEnd()))
    systemLength += tokens.length
    referenceLength += nearestLength(
      tokens.length,
      known.map(({ length }) => length),
    )
    const knownCounts = known.map(countNgrams)
    for (const [order, counts] of countNgrams(tokens).entries()) {
      for (const [ngram, count] of counts) {
        total[order]! += count
        correct[order]! += Math.min(count, Math.max(...knownCounts.map(orders => orders[order]!.get(ngram) ?? 0)))
      }
    }
  }
  const brevityPenalty = systemLength < referenceLength ? Math.exp(1 - referenceLength / systemLength) : 1
  const precisions = smoothedPrecisions(correct, total)
  const isAnyRight = correct.some(count => count > 0)
  const score =
    isAnyRight && precisions.every(precision => precision > 0) ? brevityPenalty * geometricMean(precisions) : 0
  return { score, precisions, brevityPenalty, systemLength, referenceLength }
}

/** An order without a match counts as half, a quarter, ... of one n-gram (Chen & Cherry 2014, method 3). */
function smoothedPrecisions(correct: readonly number[], total: readonly number[]): number[] {
  let smoothing = 1
  if (correct.every(count => count === 0)) return correct.map(() => 0)
  return total.map((count, order) => {
    if (count === 0) return 0
    if (correct[order]! > 0) return (100 * correct[order]!) / count
    smoothing *= 2
    return 100 / (smoothing * count)
  })
}

function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length)
}

function checkLines(translations: readonly string[], references: readonly (readonly string[])[]): void {
  if (
    ![translations, ...references].every(lines => Array.isArray(lines) && lines.every(line => typeof line === 'string'))
  ) {
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      'bleu: translations or references hold what is no line, expected a list of texts and a list of such lists: bleu(translations, [references]).',
    )
  }
  const wrong = references.find(corpus => corpus.length !== translations.length)
  if (translations.length > 0 && references.length > 0 && !wrong) return
  const found = wrong?.length ?? (references.length === 0 ? 'no corpus' : 0)
  throw new HeedError(
    'HEED_ARGUMENT_INVALID',
    `bleu: references have ${found} lines, expected ${translations.length || 'at least 1'} as the translations. Give a reference for each.`,
  )
}
