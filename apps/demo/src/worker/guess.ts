import type { Tokenizer } from '@heed/tokenizer'

/** A token that may come, or stand, at a place. */
export interface Guess {
  id: number
  token: string
  probability: number
}

const numGuesses = 10

/** A token as it is shown: a space at its beginning is seen. */
export const tokenName = (id: number, tokenizer: Tokenizer): string =>
  (tokenizer.idToToken(id) ?? '').replace(/^[Ġ▁]/, '␣')

/** The likeliest tokens of a place, most likely first; `probabilities`: one for each token of the vocabulary. */
export function likeliest(probabilities: Float32Array, tokenizer: Tokenizer): Guess[] {
  return Array.from(probabilities.keys())
    .sort((a, b) => probabilities[b]! - probabilities[a]!)
    .slice(0, numGuesses)
    .map(id => ({ id, token: tokenName(id, tokenizer), probability: probabilities[id]! }))
}
