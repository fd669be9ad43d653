/**
 * Rows of a query or key projection in the two layouts of rotary positions. Meta's files and GGUF of LLaMA keep the two channels
 * of a pair side by side, (0, 1), (2, 3), ...; HF's keep first channels in the first half of a head and second ones in the second.
 * Only whole rows move, so that it works on rows of any type.
 */

/** Row i of the result is row `order(i)` of `bytes`. */
function reordered(bytes: Uint8Array, rows: number, order: (row: number) => number): Uint8Array {
  const rowBytes = bytes.length / rows
  const result = new Uint8Array(bytes.length)
  for (let row = 0; row < rows; row++) {
    const from = order(row) * rowBytes
    result.set(bytes.subarray(from, from + rowBytes), row * rowBytes)
  }
  return result
}

/** Pairs to halves, of `rows` rows in `numHeads` heads. */
export function halvesFromPairs(bytes: Uint8Array, rows: number, numHeads: number): Uint8Array {
  const headDim = rows / numHeads
  const half = headDim / 2
  return reordered(bytes, rows, row => {
    const [head, i] = [Math.floor(row / headDim), row % headDim]
    return head * headDim + (i < half ? 2 * i : 2 * (i - half) + 1)
  })
}

/** Halves to pairs: the other way round. */
export function pairsFromHalves(bytes: Uint8Array, rows: number, numHeads: number): Uint8Array {
  const headDim = rows / numHeads
  const half = headDim / 2
  return reordered(bytes, rows, row => {
    const [head, i] = [Math.floor(row / headDim), row % headDim]
    return head * headDim + (i % 2) * half + Math.floor(i / 2)
  })
}
