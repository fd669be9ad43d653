import { HeedError, Turns, tf, tokenLogProbs } from '@heed/tensor-backend'
import type { CausalLm } from './model.ts'

export interface PerplexityOptions {
  /** Tokens that the model sees at once; at most what it was trained on. */
  contextLength: number
  /** By how many tokens the window moves on: only that many are scored in each but the first. contextLength by default. */
  stride?: number
  onProgress?: (progress: { scored: number; total: number }) => void
  signal?: AbortSignal
}

export interface PerplexityResult {
  /** exp(loss). */
  perplexity: number
  /** Mean of -log p of the scored tokens, in nats. */
  loss: number
  /** All tokens but the first. */
  numTokens: number
}

/**
 * How well a model foresees a text, by windows that overlap by contextLength - stride tokens, as in HF's guide "Perplexity of
 * fixed-length models"; no token but the first goes unscored. Throws HEED_ARGUMENT_INVALID, HEED_ID_OUT_OF_RANGE, HEED_ABORTED.
 */
export async function perplexity(
  model: CausalLm,
  ids: readonly number[],
  { contextLength, stride = contextLength, onProgress, signal }: PerplexityOptions,
): Promise<PerplexityResult> {
  check('ids.length', ids.length, ids.length >= 2, 'at least 2 tokens')
  check(
    'contextLength',
    contextLength,
    Number.isInteger(contextLength) && contextLength >= 2,
    'a whole number of at least 2',
  )
  const isStride = Number.isInteger(stride) && stride >= 1 && stride <= contextLength
  check('stride', stride, isStride, `a whole number from 1 to contextLength (${contextLength})`)
  let sum = 0
  let scored = 0
  const turns = new Turns()
  for (let begin = 0, end = 0; end < ids.length; begin += stride) {
    if (signal?.aborted)
      throw new HeedError('HEED_ABORTED', 'perplexity: the signal was aborted.', { cause: signal.reason })
    const last = end
    end = Math.min(begin + contextLength + 1, ids.length) // the last one is only foreseen
    const count = end - Math.max(last, 1) // the first token of all has nothing before it
    const window = ids.slice(begin, end)
    const scores = tf.tidy(() => {
      // Logits of the positions before the tokens that are scored.
      const { logits } = model.forward({ inputIds: [window.slice(0, -1)], logitsToKeep: count })
      return tokenLogProbs(logits, tf.tensor2d([window.slice(-count)], [1, count], 'int32'))
    })
    for (const score of await scores.data()) sum -= score
    scores.dispose()
    scored += count
    onProgress?.({ scored, total: ids.length - 1 })
    await turns.next()
  }
  const loss = sum / scored
  return { perplexity: Math.exp(loss), loss, numTokens: scored }
}

function check(name: string, value: unknown, isValid: boolean, rule: string): void {
  if (!isValid) throw new HeedError('HEED_ARGUMENT_INVALID', `perplexity: ${name} is ${value}, expected ${rule}.`)
}
