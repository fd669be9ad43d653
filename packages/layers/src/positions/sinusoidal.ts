import { tf } from '@heed/tensor-backend'

/**
 * PE[pos, i] = sin(pos / 10000^(2k / hiddenSize)) for one half of the channels and cos for the other, k = 0, 1, ...
 * Vaswani et al. 2017 (arXiv:1706.03762), section 3.5. `interleaved` as in the paper: sin at even channels, cos at odd ones;
 * `halves` as in Marian and tensor2tensor: first all sines, then all cosines. -> [numPositions, hiddenSize].
 */
export function sinusoidalPositions(
  numPositions: number,
  hiddenSize: number,
  layout: 'interleaved' | 'halves' = 'interleaved',
): tf.Tensor {
  const half = Math.ceil(hiddenSize / 2)
  const table = new Float32Array(numPositions * hiddenSize)
  for (let position = 0; position < numPositions; position++) {
    for (let channel = 0; channel < hiddenSize; channel++) {
      const [k, isSine] =
        layout === 'interleaved' ? [channel >> 1, channel % 2 === 0] : [channel % half, channel < half]
      const angle = position / 10000 ** ((2 * k) / hiddenSize)
      table[position * hiddenSize + channel] = isSine ? Math.sin(angle) : Math.cos(angle)
    }
  }
  return tf.tensor2d(table, [numPositions, hiddenSize])
}
