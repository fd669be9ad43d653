import { HeedError } from '@heed/tensor-backend'
import { softmax } from './sampling.ts'

/**
 * Changes the scores of the next token of one sequence in place: -Infinity forbids a token. `ids` is the sequence so far,
 * prompt included; `prompt` tells which prompt it goes on from. The array is used again for the next token: keep a copy. Names,
 * formulas and order as HF's `LogitsProcessor` classes.
 */
export type LogitsProcessor = (scores: Float32Array, ids: readonly number[], prompt: number) => void

const forbid = (scores: Float32Array, tokenIds: Iterable<number>): void => {
  for (const id of tokenIds) scores[id] = Number.NEGATIVE_INFINITY
}

const penalise = (scores: Float32Array, tokenIds: Iterable<number>, penalty: number): void => {
  for (const id of new Set(tokenIds)) {
    const score = scores[id]!
    scores[id] = score < 0 ? score * penalty : score / penalty
  }
}

/** Whether the sequence ends in these ids. */
const endsIn = (ids: readonly number[], last: readonly number[]): boolean => {
  const start = ids.length - last.length
  return start >= 0 && last.every((id, i) => ids[start + i] === id)
}

/** score + bias for the last token of each sequence whose other tokens have just come. */
export function sequenceBiasProcessor(
  biases: readonly (readonly [ids: readonly number[], bias: number])[],
): LogitsProcessor {
  return (scores, ids) => {
    for (const [sequence, bias] of biases) {
      if (endsIn(ids, sequence.slice(0, -1))) scores[sequence.at(-1)!]! += bias
    }
  }
}

/**
 * score · penalty where positive, score / penalty where negative, for tokens of the source: above 1 they become likelier. Of each
 * beam; HF takes beam i for prompt i, and leaves those after the last prompt as they are.
 */
export function encoderRepetitionPenaltyProcessor(
  penalty: number,
  sources: readonly (readonly number[])[],
): LogitsProcessor {
  return (scores, _ids, prompt) => penalise(scores, sources[prompt]!, 1 / penalty)
}

/** score / penalty where positive, score · penalty where negative, for tokens that have come. Keskar et al. 2019 (arXiv:1909.05858). */
export function repetitionPenaltyProcessor(penalty: number): LogitsProcessor {
  return (scores, ids) => penalise(scores, ids, penalty)
}

/** score - presence - frequency · count, for tokens generated after the prompt, as OpenAI's interface defines it. */
export function frequencyPenaltyProcessor(presence: number, frequency: number, promptLength: number): LogitsProcessor {
  return (scores, ids) => {
    const counts = new Map<number, number>()
    for (const id of ids.slice(promptLength)) counts.set(id, (counts.get(id) ?? 0) + 1)
    for (const [id, count] of counts) scores[id]! -= presence + frequency * count
  }
}

/** The tokens that would complete an n-gram of `text` after the last tokens of `ids`. */
function ngramEnds(size: number, text: readonly number[], ids: readonly number[]): number[] {
  const last = ids.length < size - 1 ? undefined : ids.slice(ids.length - size + 1)
  const ends: number[] = []
  if (!last) return ends
  for (let i = 0; i + size <= text.length; i++) {
    let isSame = true
    for (let j = 0; isSame && j < size - 1; j++) isSame = text[i + j] === last[j]
    if (isSame) ends.push(text[i + size - 1]!)
  }
  return ends
}

/** Forbids a token that would complete an n-gram which has come before. */
export function noRepeatNgramProcessor(size: number): LogitsProcessor {
  return (scores, ids) => forbid(scores, ngramEnds(size, ids, ids))
}

/** Forbids a token that would complete an n-gram of the source. */
export function encoderNoRepeatNgramProcessor(size: number, sources: readonly (readonly number[])[]): LogitsProcessor {
  return (scores, ids, prompt) => forbid(scores, ngramEnds(size, sources[prompt]!, ids))
}

/** Forbids the last token of each word when its others have just come; a word that is an end of text is let through. */
export function noBadWordsProcessor(
  words: readonly (readonly number[])[],
  eosTokenIds: readonly number[],
): LogitsProcessor {
  const forbidden = words.filter(word => !(word.length === 1 && eosTokenIds.includes(word[0]!)))
  return (scores, ids) => {
    for (const word of forbidden) if (endsIn(ids, word.slice(0, -1))) forbid(scores, word.slice(-1))
  }
}

/** Forbids the end while the sequence is shorter than `length` tokens. */
export function minLengthProcessor(length: number, eosTokenIds: readonly number[]): LogitsProcessor {
  return (scores, ids) => {
    if (ids.length < length) forbid(scores, eosTokenIds)
  }
}

/** Allows only the tokens that `allowed` names for a prompt and what has come. De Cao et al. 2020 (arXiv:2010.00904). */
export function prefixConstrainedProcessor(
  allowed: (prompt: number, ids: readonly number[]) => Iterable<number>,
): LogitsProcessor {
  return (scores, ids, prompt) => {
    const kept = Array.from(allowed(prompt, ids), id => [id, scores[id]!] as const)
    scores.fill(Number.NEGATIVE_INFINITY)
    for (const [id, score] of kept) scores[id] = score
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

/** NaN becomes 0, infinities the highest and lowest numbers of float32. */
export const removeInvalidValuesProcessor: LogitsProcessor = scores => {
  for (let i = 0; i < scores.length; i++) {
    const score = scores[i]!
    if (Number.isNaN(score)) scores[i] = 0
    else if (!Number.isFinite(score)) scores[i] = Math.sign(score) * MAX_FLOAT32
  }
}

const MAX_FLOAT32 = (2 - 2 ** -23) * 2 ** 127

/**
 * score + |score| · (factor^n - 1) for the end, n being how many tokens have come after the first `length`. An end that is
 * forbidden stays so: in HF its score becomes NaN, which beams and greedy choice then take for the highest.
 */
export function exponentialDecayLengthPenalty(
  length: number,
  factor: number,
  eosTokenIds: readonly number[],
): LogitsProcessor {
  return (scores, ids) => {
    const beyond = ids.length - length
    if (beyond <= 0) return
    for (const id of eosTokenIds) {
      const score = scores[id]!
      if (!isForbidden(score)) scores[id] = score + Math.abs(score) * (factor ** beyond - 1)
    }
  }
}

/** Forbids these tokens: always, or only where the sequence has `length` tokens. */
export function suppressTokensProcessor(tokenIds: readonly number[], length?: number): LogitsProcessor {
  return (scores, ids) => {
    if (length === undefined || ids.length === length) forbid(scores, tokenIds)
  }
}

/** Whether no token may come with this score: also where `removeInvalidValuesProcessor` has been. */
export const isForbidden = (score: number): boolean => score <= -MAX_FLOAT32

/** What a generation ends with where no token is left; `names` are the options that forbid tokens. */
export function noTokenLeft(names: readonly string[], length: number): HeedError {
  return new HeedError(
    'HEED_ARGUMENT_INVALID',
    `generate: every token is forbidden after the first ${length}, expected one that may come next. ` +
      `Change or leave out ${names.join(' or ')}.`,
  )
}

/** Throws HEED_ARGUMENT_INVALID where the processors before it left no token. */
export function someTokenCheck(names: readonly string[]): LogitsProcessor {
  return (scores, ids) => {
    if (scores.every(isForbidden)) throw noTokenLeft(names, ids.length)
  }
}

/** log softmax(scores): a last step that makes scores of different processors comparable. */
export const logitNormalization: LogitsProcessor = scores => {
  for (const [id, probability] of softmax(scores).entries()) scores[id] = Math.log(probability)
}
