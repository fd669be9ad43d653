import { elementwise, groupsForElements, type Shader, type WebgpuKernel } from '../../backends/webgpu-device.ts'
import { tf } from '../../tf.ts'

// As many axes as tfjs has tensors of.
const maxRank = 6
const axes = Array.from({ length: maxRank }, (_, axis) => axis)

/** y[..., i1, i0] = x at the sum of index · stride; axes from the last one on, those that are missing have size 1. */
const shader: Shader = {
  reads: { x: 'i32' },
  writes: { y: 'i32' },
  params: Object.fromEntries([
    ['count', 'u32'],
    ...axes.flatMap(axis => [
      [`size${axis}`, 'u32'],
      [`stride${axis}`, 'u32'],
    ]),
  ]),
  code: elementwise(`
    var rest = i;
    var at = 0u;
    ${axes.map(axis => `at += rest % params.size${axis} * params.stride${axis}; rest /= params.size${axis};`).join('\n    ')}
    y[i] = x[at];
`),
}

/** tfjs's own transpose, whose shader in tfjs 4.22 is not valid for whole numbers. */
export const wholeNumberTranspose: WebgpuKernel = (
  device,
  { x }: { x: tf.TensorInfo },
  { perm }: { perm: number[] },
) => {
  const strides = [...tf.util.computeStrides(x.shape), 1]
  const y = device.output(
    perm.map(axis => x.shape[axis]!),
    x.dtype as 'int32' | 'bool',
  )
  const count = tf.util.sizeFromShape(x.shape)
  const params: Record<string, number> = { count }
  for (const axis of axes) {
    const from = perm.at(-1 - axis)
    params[`size${axis}`] = from === undefined ? 1 : x.shape[from]!
    params[`stride${axis}`] = from === undefined ? 0 : strides[from]!
  }
  device.run(shader, { x, y }, params, groupsForElements(count))
  return y
}
