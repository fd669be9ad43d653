import { elementwise, groupsForElements, type Shader, type WebgpuKernel } from '../../backends/webgpu-device.ts'
import { tf } from '../../tf.ts'

/** One thread a channel; its position is row / heads, in tables that repeat for each sequence of a batch. */
const shader: Shader = {
  reads: { x: 'f32', cos_table: 'f32', sin_table: 'f32' },
  writes: { y: 'f32' },
  params: {
    count: 'u32',
    table_rows: 'u32',
    heads: 'u32',
    head_dim: 'u32',
    half: 'u32',
    direction: 'f32',
    is_interleaved: 'u32',
  },
  code: elementwise(`
    let is_interleaved = params.is_interleaved != 0;
    let channel = i % params.head_dim;
    if (channel >= 2 * params.half) {
      y[i] = x[i];
      continue;
    }
    let is_first = select(channel < params.half, channel % 2 == 0, is_interleaved);
    let pair = select(channel % params.half, channel / 2, is_interleaved);
    let distance = select(params.half, 1, is_interleaved);
    let position = i / params.head_dim / params.heads % params.table_rows;
    let c = cos_table[position * params.half + pair];
    let s = sin_table[position * params.half + pair] * params.direction;
    if (is_first) { y[i] = x[i] * c - x[i + distance] * s; }
    else { y[i] = x[i] * c + x[i - distance] * s; }
`),
}

export const rotaryShaders: Record<string, WebgpuKernel> = {
  /** [x, cos, sin] -> y, turned by direction · angle. */
  HeedRotary(
    device,
    [x, cos, sin]: [tf.TensorInfo, tf.TensorInfo, tf.TensorInfo],
    { isInterleaved, direction }: { isInterleaved: boolean; direction: number },
  ) {
    const [, , heads, head_dim] = x.shape as [number, number, number, number]
    const [table_rows, half] = cos.shape as [number, number]
    const y = device.output(x.shape)
    const count = tf.util.sizeFromShape(x.shape)
    const params = { count, table_rows, heads, head_dim, half, direction, is_interleaved: isInterleaved ? 1 : 0 }
    const tensors = { x, cos_table: cos, sin_table: sin, y }
    device.run(shader, tensors, params, groupsForElements(count))
    return y
  },
}
