import { HeedError } from '@heed/tensor-backend'
import { type Batch, type BatchArray, ignoreIndex } from './batch.ts'
import type { TokenExample } from './packed-tokens.ts'

/** Examples -> one batch. `seed` is the batch's own, from the run's seed and the position in the data. */
export type Collator<T> = (examples: T[], seed: number) => Batch

export interface PaddingOptions {
  /** The id that fills short rows; without one, rows must be equally long. */
  padTokenId?: number
  /** Rows are filled up to a multiple of this. */
  padToMultipleOf?: number
}

/** Rows of one batch as a matrix, short ones filled with `fill`. */
export function matrix(rows: ArrayLike<number>[], columns: number, fill: number): BatchArray {
  const values = new Int32Array(rows.length * columns).fill(fill)
  for (const [row, source] of rows.entries()) values.set(source, row * columns)
  return { values, shape: [rows.length, columns] }
}

/** The length all rows of a batch get. Throws HEED_ARGUMENT_INVALID when rows differ and there is no padding token. */
export function paddedLength(
  rows: ArrayLike<number>[],
  where: string,
  { padTokenId, padToMultipleOf = 1 }: PaddingOptions,
): number {
  const longest = Math.max(...rows.map(row => row.length))
  const length = Math.ceil(longest / padToMultipleOf) * padToMultipleOf
  const short = rows.find(row => row.length !== length)
  if (!short || padTokenId !== undefined) return length
  throw new HeedError(
    'HEED_ARGUMENT_INVALID',
    `${where}: an example has ${short.length} tokens, expected ${length} as the batch has. Set padTokenId to fill short ones.`,
  )
}

/** `inputIds`, `attentionMask` (only when something is padding) and `labels`: HF's `DataCollatorForLanguageModeling(mlm=False)`. */
export function causalLmCollator(options: PaddingOptions = {}): Collator<TokenExample> {
  return examples => {
    const rows = examples.map(example => example.inputIds)
    const length = paddedLength(rows, 'causalLmCollator', options)
    const inputs: Record<string, BatchArray> = { inputIds: matrix(rows, length, options.padTokenId ?? 0) }
    if (examples.some(example => example.attentionMask || example.inputIds.length < length)) {
      const masks = examples.map(
        ({ attentionMask, inputIds }) => attentionMask ?? new Uint8Array(inputIds.length).fill(1),
      )
      inputs.attentionMask = matrix(masks, length, 0)
    }
    inputs.labels = matrix(
      examples.map(({ labels, inputIds, attentionMask }) => labels ?? visible(inputIds, attentionMask)),
      length,
      ignoreIndex,
    )
    return { inputs, labelShift: 1 }
  }
}

/** Ids with -100 where the mask hides them. */
function visible(ids: ArrayLike<number>, mask?: ArrayLike<number>): ArrayLike<number> {
  return mask ? Array.from(ids, (id, i) => (mask[i] === 0 ? ignoreIndex : id)) : ids
}
