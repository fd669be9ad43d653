import { rowwise, type Shader, type WebgpuKernel } from '../../backends/webgpu-device.ts'
import { tf } from '../../tf.ts'

// Elements of a piece of a tensor: each leaves one partial sum.
const pieceSize = 16384

/** The squares of each piece of x added up, to partial[first + piece]. */
const squares: Shader = {
  reads: { x: 'f32' },
  writes: { partial: 'f32' },
  params: { rows: 'u32', count: 'u32', first: 'u32' },
  code: rowwise(`
    let end = min(params.count, (row + 1) * ${pieceSize}u);
    var total = 0.0;
    for (var i = row * ${pieceSize}u + lane; i < end; i += LANES) { total += x[i] * x[i]; }
    let sum = sum_of_lanes(total, lane);
    if (lane == 0) { partial[params.first + row] = sum; }
`),
}

const root: Shader = {
  reads: { partial: 'f32' },
  writes: { norm: 'f32' },
  params: { rows: 'u32', pieces: 'u32' },
  code: rowwise(`
    var total = 0.0;
    for (var i = lane; i < params.pieces; i += LANES) { total += partial[i]; }
    let sum = sum_of_lanes(total, lane);
    if (lane == 0) { norm[row] = sqrt(sum); }
`),
}

export const globalNormShaders: Record<string, WebgpuKernel> = {
  /** [...tensors] -> norm */
  HeedGlobalNorm(device, inputs: tf.TensorInfo[]) {
    const norm = device.output([])
    const tensors = Object.values(inputs)
    const sizes = tensors.map(({ shape }) => tf.util.sizeFromShape(shape))
    const counts = sizes.map(size => Math.ceil(size / pieceSize))
    const pieces = counts.reduce((total, count) => total + count, 0)
    const partial = device.output([pieces])
    let first = 0
    for (const [i, x] of tensors.entries()) {
      device.run(squares, { x, partial }, { rows: counts[i]!, count: sizes[i]!, first }, [Math.min(counts[i]!, 65535)])
      first += counts[i]!
    }
    device.run(root, { partial, norm }, { rows: 1, pieces }, [1])
    device.release(partial)
    return norm
  },
}
