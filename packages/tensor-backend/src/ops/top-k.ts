import type { BackendKernel } from '../backends/kernel-backend.ts'
import type { tf } from '../tf.ts'
import { rowsAndCols } from './fused.ts'

/** tfjs's own `tf.topk`, without its sort of a list of objects. */
export const topKKernels: Record<string, BackendKernel> = {
  /** { x } -> [values, indices] */
  TopK(backend, inputs: { x: tf.TensorInfo }, attributes: { k: number; sorted: boolean }) {
    const { x } = inputs
    const [rows, cols] = rowsAndCols(x)
    const { k } = attributes
    if (x.dtype !== 'float32' || k < 1 || k > cols)
      return backend.cpuKernel('TopK', inputs as never, attributes as never)
    const shape = [...x.shape.slice(0, -1), k]
    const [values, indices] = [backend.output(shape), backend.output(shape, 'int32')]
    const { address, library } = backend
    library.kernels.topK(address(x), address(values), address(indices), rows, cols, k)
    return [values, indices]
  },
}
