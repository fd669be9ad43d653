/**
 * Rows of a query or key projection in the two layouts of rotary positions. Meta's files and GGUF of LLaMA keep the two channels
 * of a pair side by side, (0, 1), (2, 3), ...; HF's keep first channels in the first half of a head and second ones in the second.
 * Only whole rows move, so that it works on rows of any type.
 */
import { tf } from '@heed/tensor-backend'

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

/** `halvesFromPairs` of a tensor [rows, ...], which is disposed of. */
export function inHalves(pairs: tf.Tensor, numHeads: number): tf.Tensor {
  const [rows, ...rest] = pairs.shape as [number, ...number[]]
  const halves = tf.tidy(() => {
    const turned = pairs
      .reshape([numHeads, rows / numHeads / 2, 2, tf.util.sizeFromShape(rest)])
      .transpose([0, 2, 1, 3])
    return turned.reshape([rows, ...rest])
  })
  pairs.dispose()
  return halves
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
