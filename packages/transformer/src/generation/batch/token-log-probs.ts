import { logSumExp } from '../sampling.ts'

/** A token and the natural logarithm of its probability. */
export interface TokenLogProb {
  id: number
  logprob: number
}

/** What a model thought of a token that was written: its own log-probability, and the likeliest tokens in its place. */
export interface ChosenLogProb {
  logprob: number
  top: readonly TokenLogProb[]
}

/** log softmax(logits) of the `count` highest of them, and of any id that is asked for. */
export class LogProbs {
  readonly top: readonly TokenLogProb[]
  readonly #logits: Float32Array
  readonly #normalizer: number

  /** Keeps a copy of logits [vocabSize]. */
  constructor(logits: Float32Array, count: number) {
    this.#logits = logits.slice()
    this.#normalizer = logSumExp(logits)
    this.top = highestIds(logits, count).map(id => ({ id, logprob: this.of(id) }))
  }

  of(id: number): number {
    return this.#logits[id]! - this.#normalizer
  }
}

/** The ids of the highest scores, the highest first. */
export function highestIds(scores: Float32Array, count: number): number[] {
  const ids: number[] = []
  if (count === 0) return ids
  for (let id = 0; id < scores.length; id++) {
    if (ids.length === count && scores[id]! <= scores[ids.at(-1)!]!) continue
    let at = ids.length
    while (at > 0 && scores[ids[at - 1]!]! < scores[id]!) at -= 1
    ids.splice(at, 0, id)
    if (ids.length > count) ids.pop()
  }
  return ids
}
