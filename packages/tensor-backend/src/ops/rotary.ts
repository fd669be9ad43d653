import type { BackendKernel } from '../backends/kernel-backend.ts'
import { HeedError } from '../errors.ts'
import { tf } from '../tf.ts'
import { checkFloats, checkRank, checkShape } from './checks.ts'
import { differentiable, hasKernel, runKernel } from './fused.ts'

export interface RotaryOptions {
  /** Pairs (0, 1), (2, 3), ... as in Meta's files; by default pairs (i, i + rotaryDim / 2) as in HF's. */
  isInterleaved?: boolean
}

/**
 * Rotates each pair of the first rotaryDim channels by the angle of its position; the other channels pass through.
 * x: [batch, seqLen, numHeads, headDim]; cos, sin: [seqLen | batch · seqLen, rotaryDim / 2] -> same shape as x.
 * Differentiable by x; the angles are constants. Su et al. 2021 (arXiv:2104.09864), eq. 34; same numbers as HF
 * `apply_rotary_pos_emb`. Throws HEED_SHAPE_MISMATCH, HEED_DTYPE_UNSUPPORTED.
 */
export function rotary(
  x: tf.Tensor,
  cos: tf.Tensor,
  sin: tf.Tensor,
  { isInterleaved = false }: RotaryOptions = {},
): tf.Tensor {
  checkRank('rotary', 'x', x, 4, '[batch, seqLen, numHeads, headDim]')
  const [batch, seqLen] = x.shape as [number, number]
  checkShape('rotary', 'cos', cos, [cos.shape[0] === batch * seqLen ? batch * seqLen : seqLen, -1])
  checkShape('rotary', 'sin', sin, cos.shape)
  checkFloats('rotary', { x, cos, sin })
  const headDim = x.shape[3]!
  if (2 * cos.shape[1]! > headDim) {
    throw new HeedError(
      'HEED_SHAPE_MISMATCH',
      `rotary: cos has ${cos.shape[1]} angles, expected at most ${headDim / 2}, half of headDim. Check rotaryDim.`,
    )
  }
  if (!hasKernel('HeedRotary')) return composedRotary(x, cos, sin, isInterleaved)
  return differentiable(
    [x],
    save => {
      save([cos, sin])
      return runKernel('HeedRotary', [x, cos, sin], { isInterleaved, direction: 1 })[0]!
    },
    (dy, angles) => [() => runKernel('HeedRotary', [dy, ...angles], { isInterleaved, direction: -1 })[0]!],
  )
}

/** `rotary` from tfjs's own ops. */
export function composedRotary(x: tf.Tensor, cos: tf.Tensor, sin: tf.Tensor, isInterleaved: boolean): tf.Tensor {
  const [batch, seqLen, numHeads, headDim] = x.shape as [number, number, number, number]
  const half = cos.shape[1]!
  const rotaryDim = 2 * half
  return tf.tidy(() => {
    const perPosition = [cos.shape[0]! / seqLen, seqLen, 1, half] // [1 | batch, seqLen, 1, half]
    const c = cos.reshape(perPosition)
    const s = sin.reshape(perPosition)
    const rotated = tf.slice(x, [0, 0, 0, 0], [batch, seqLen, numHeads, rotaryDim])
    const pairs = isInterleaved
      ? tf.unstack(rotated.reshape([batch, seqLen, numHeads, half, 2]), -1)
      : tf.split(rotated, 2, -1)
    const [a, b] = pairs as [tf.Tensor, tf.Tensor]
    const first = tf.sub(tf.mul(a, c), tf.mul(b, s))
    const second = tf.add(tf.mul(b, c), tf.mul(a, s))
    const y = isInterleaved
      ? tf.stack([first, second], -1).reshape([batch, seqLen, numHeads, rotaryDim])
      : tf.concat([first, second], -1)
    if (rotaryDim === headDim) return y
    const rest = tf.slice(x, [0, 0, 0, rotaryDim], [batch, seqLen, numHeads, headDim - rotaryDim])
    return tf.concat([y, rest], -1)
  })
}

export const rotaryKernels: Record<string, BackendKernel> = {
  /** [x, cos, sin] -> y, turned by direction · angle. */
  HeedRotary(
    backend,
    [x, cos, sin]: [tf.TensorInfo, tf.TensorInfo, tf.TensorInfo],
    { isInterleaved, direction }: { isInterleaved: boolean; direction: number },
  ) {
    const { address, library } = backend
    const [batch, seqLen, numHeads, headDim] = x.shape as [number, number, number, number]
    const [tableRows, half] = cos.shape as [number, number]
    const y = backend.output(x.shape)
    const tensors = [address(x), address(cos), address(sin), address(y)] as const
    const sizes = [batch * seqLen, tableRows, numHeads, headDim, half] as const
    library.kernels.rotary(...tensors, ...sizes, isInterleaved ? 1 : 0, direction)
    return y
  },
}
