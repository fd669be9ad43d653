/**
 * Changes the scores of the next token of one sequence in place: -Infinity forbids a token. `ids` is the sequence so far,
 * prompt included. Names, formulas and order as HF's `LogitsProcessor` classes.
 */
export type LogitsProcessor = (scores: Float32Array, ids: readonly number[]) => void

/** score / penalty where positive, score · penalty where negative, for tokens that have come. Keskar et al. 2019 (arXiv:1909.05858). */
export function repetitionPenaltyProcessor(penalty: number): LogitsProcessor {
  return (scores, ids) => {
    for (const id of new Set(ids)) {
      const score = scores[id]!
      scores[id] = score < 0 ? score * penalty : score / penalty
    }
  }
}

/** score - presence - frequency · count, for tokens generated after the prompt, as OpenAI's interface defines it. */
export function frequencyPenaltyProcessor(presence: number, frequency: number, promptLength: number): LogitsProcessor {
  return (scores, ids) => {
    const counts = new Map<number, number>()
    for (const id of ids.slice(promptLength)) counts.set(id, (counts.get(id) ?? 0) + 1)
    for (const [id, count] of counts) scores[id]! -= presence + frequency * count
  }
}

/** Forbids a token that would complete an n-gram which has come before. */
export function noRepeatNgramProcessor(size: number): LogitsProcessor {
  return (scores, ids) => {
    const start = ids.length - size + 1 // where the n-gram being written began
    if (start < 0) return
    for (let i = 0; i + size <= ids.length; i++) {
      let isSame = true
      for (let j = 0; isSame && j < size - 1; j++) isSame = ids[i + j] === ids[start + j]
      if (isSame) scores[ids[i + size - 1]!] = Number.NEGATIVE_INFINITY
    }
  }
}

/** Forbids the last token of each word when its others have just come; a word that is an end of text is let through. */
export function noBadWordsProcessor(
  words: readonly (readonly number[])[],
  eosTokenIds: readonly number[],
): LogitsProcessor {
  const forbidden = words.filter(word => !(word.length === 1 && eosTokenIds.includes(word[0]!)))
  return (scores, ids) => {
    for (const word of forbidden) {
      const before = word.slice(0, -1)
      const start = ids.length - before.length
      if (start >= 0 && before.every((id, i) => ids[start + i] === id)) {
        scores[word.at(-1)!] = Number.NEGATIVE_INFINITY
      }
    }
  }
}

/** Forbids the end while the sequence is shorter than `length` tokens. */
export function minLengthProcessor(length: number, eosTokenIds: readonly number[]): LogitsProcessor {
  return (scores, ids) => {
    if (ids.length < length) for (const id of eosTokenIds) scores[id] = Number.NEGATIVE_INFINITY
  }
}

/** Allows only these tokens where the sequence has `length` tokens. */
export function forcedTokenProcessor(tokenIds: readonly number[], length: number): LogitsProcessor {
  return (scores, ids) => {
    if (ids.length !== length) return
    scores.fill(Number.NEGATIVE_INFINITY)
    for (const id of tokenIds) scores[id] = 0
  }
}

/** Forbids these tokens: always, or only where the sequence has `length` tokens. */
export function suppressTokensProcessor(tokenIds: readonly number[], length?: number): LogitsProcessor {
  return (scores, ids) => {
    if (length !== undefined && ids.length !== length) return
    for (const id of tokenIds) scores[id] = Number.NEGATIVE_INFINITY
  }
}
