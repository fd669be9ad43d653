import { HeedError } from '@heed/tensor-backend'
import { show } from '../checks.ts'
import { ignoreIndex } from './batch.ts'
import { type Collator, causalLmCollator, type PaddingOptions } from './collators.ts'

/** A prompt with a better and a worse answer, as ids. */
export interface PreferencePair {
  prompt: ArrayLike<number>
  chosen: ArrayLike<number>
  rejected: ArrayLike<number>
}

/**
 * Rows of prompt and preferred answer, then, in the same order, of prompt and other answer; only answers have labels. For
 * `DpoModel`; TRL's `DataCollatorForPreference`. Throws HEED_ARGUMENT_INVALID when a part is empty.
 */
export function preferenceCollator(options: PaddingOptions): Collator<PreferencePair> {
  const pad = causalLmCollator(options)
  return (pairs, seed) => {
    for (const pair of pairs) {
      for (const name of ['prompt', 'chosen', 'rejected'] as const) {
        if (pair[name]?.length > 0) continue
        const mend = name === 'prompt' ? ' Begin with a bos token.' : ''
        throw new HeedError(
          'HEED_ARGUMENT_INVALID',
          `preferenceCollator: ${name} is ${show(pair[name])}, expected at least one token.${mend}`,
        )
      }
    }
    const rows = (['chosen', 'rejected'] as const).flatMap(which =>
      pairs.map(pair => answered(pair.prompt, pair[which])),
    )
    return { ...pad(rows, seed), numLosses: pairs.length }
  }
}

function answered(prompt: ArrayLike<number>, answer: ArrayLike<number>): { inputIds: number[]; labels: number[] } {
  const ids = Array.from(answer)
  const hidden = Array.from(prompt, () => ignoreIndex)
  return { inputIds: [...Array.from(prompt), ...ids], labels: [...hidden, ...ids] }
}
