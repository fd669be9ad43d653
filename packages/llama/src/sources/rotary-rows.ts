/**
 * Rows of a query or key projection in the two layouts of rotary positions. Meta's files and GGUF of LLaMA keep the two channels
 * of a pair side by side, (0, 1), (2, 3), ...; HF's keep first channels in the first half of a head and second ones in the second.
 * Only whole rows move, so that it works on rows of any type.
 */

/** Row i of the result is row `order(i)` of `bytes`. */
function reordered(
  bytes: Uint8Array,
  rows: number,
  order: (row: number) => number,
  result: Uint8Array = new Uint8Array(bytes.length),
): Uint8Array {
  const rowBytes = bytes.length / rows
  for (let row = 0; row < rows; row++) {
    const from = order(row) * rowBytes
    result.set(bytes.subarray(from, from + rowBytes), row * rowBytes)
  }
  return result
}

/** Pairs to halves, of `rows` rows in `numHeads` heads; in `room` of the same length, if it is given. */
export function halvesFromPairs(bytes: Uint8Array, rows: number, numHeads: number, room?: Uint8Array): Uint8Array {
  const headDim = rows / numHeads
  const half = headDim / 2
  const order = (row: number): number => {
    const [head, i] = [Math.floor(row / headDim), row % headDim]
    return head * headDim + (i < half ? 2 * i : 2 * (i - half) + 1)
  }
  return reordered(bytes, rows, order, room)
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
