import { elementwise, groupsForElements, type Shader, type WebgpuKernel } from '../../backends/webgpu-device.ts'
import { tf } from '../../tf.ts'

const accumulate: Shader = {
  reads: { term: 'f32' },
  writes: { total: 'f32' },
  params: { count: 'u32' },
  code: elementwise('total[i] += term[i];'),
}

/** per_batch elements of each batch of rows go to the same batch of cache, `start` elements on. */
const writeRows: Shader = {
  reads: { rows: 'f32' },
  writes: { cache: 'f32' },
  params: { count: 'u32', per_batch: 'u32', cache_per_batch: 'u32', start: 'u32' },
  code: elementwise(
    'cache[i / params.per_batch * params.cache_per_batch + params.start + i % params.per_batch] = rows[i];',
  ),
}

/** What changes a tensor where it lies; its values are its own. */
export const inPlaceShaders: Record<string, WebgpuKernel> = {
  /** [sum, term] -> [] */
  HeedAccumulate(device, [total, term]: [tf.TensorInfo, tf.TensorInfo]) {
    const count = tf.util.sizeFromShape(term.shape)
    device.run(accumulate, { total, term }, { count }, groupsForElements(count))
    return []
  },

  /** [target, rows] -> [] */
  HeedWriteRows(device, [cache, rows]: [tf.TensorInfo, tf.TensorInfo], { offset }: { offset: number }) {
    const [, capacity, heads, headDim] = cache.shape as [number, number, number, number]
    const rowSize = heads * headDim
    const count = tf.util.sizeFromShape(rows.shape)
    const params = {
      count,
      per_batch: rows.shape[1]! * rowSize,
      cache_per_batch: capacity * rowSize,
      start: offset * rowSize,
    }
    device.run(writeRows, { rows, cache }, params, groupsForElements(count))
    return []
  },
}
