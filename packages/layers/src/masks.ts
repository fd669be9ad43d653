/**
 * The position of each token when padding does not count: the number of 1s before it in its row, 1 for padding, as HF's
 * `generate` numbers left-padded prompts. attentionMask: rows of 0 and 1.
 */
export function positionsFromMask(attentionMask: readonly (readonly number[])[]): number[][] {
  return attentionMask.map(row => {
    let count = 0
    return row.map(isToken => (isToken ? count++ : 1))
  })
}

/** Whether any key is hidden: a mask of only 1s costs time and changes nothing. */
export function hidesKeys(attentionMask: readonly (readonly number[])[]): boolean {
  return attentionMask.some(row => row.includes(0))
}
