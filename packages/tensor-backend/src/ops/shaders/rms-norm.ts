import { groupsForRows, rowwise, type Shader, type WebgpuKernel } from '../../backends/webgpu-device.ts'
import type { tf } from '../../tf.ts'
import { rowsAndCols } from '../fused.ts'
import { columnSumsShader, sumColumns } from './column-sums.ts'

const forward: Shader = {
  reads: { x: 'f32', weight: 'f32' },
  writes: { y: 'f32', inverse: 'f32' },
  params: { rows: 'u32', cols: 'u32', eps: 'f32' },
  code: rowwise(`
    let start = row * params.cols;
    var squares = 0.0;
    for (var col = lane; col < params.cols; col += LANES) { squares += x[start + col] * x[start + col]; }
    let scale = 1 / sqrt(sum_of_lanes(squares, lane) / f32(params.cols) + params.eps);
    for (var col = lane; col < params.cols; col += LANES) { y[start + col] = x[start + col] * scale * weight[col]; }
    if (lane == 0) { inverse[row] = scale; }
`),
}

/** With g = dy · weight and xhat = x · inverse: dx = inverse · (g - xhat · mean(g · xhat)). */
const inputGradient: Shader = {
  reads: { dy: 'f32', x: 'f32', weight: 'f32', inverse: 'f32' },
  writes: { dx: 'f32' },
  params: { rows: 'u32', cols: 'u32' },
  code: rowwise(`
    let start = row * params.cols;
    let scale = inverse[row];
    var products = 0.0;
    for (var col = lane; col < params.cols; col += LANES) { products += dy[start + col] * weight[col] * x[start + col]; }
    let mean = sum_of_lanes(products, lane) * scale * scale / f32(params.cols);
    for (var col = lane; col < params.cols; col += LANES) {
      dx[start + col] = (dy[start + col] * weight[col] - x[start + col] * mean) * scale;
    }
`),
}

const weightGradient = columnSumsShader(
  { dy: 'f32', x: 'f32', inverse: 'f32' },
  ['dweight'],
  'dweight_total += dy[i] * x[i] * inverse[row];',
)

export const rmsNormShaders: Record<string, WebgpuKernel> = {
  /** [x, weight] -> [y, inverse], inverse: [rows], 1 / rms of each row. */
  HeedRmsNorm(device, [x, weight]: [tf.TensorInfo, tf.TensorInfo], { eps }: { eps: number }) {
    const [rows, cols] = rowsAndCols(x)
    const [y, inverse] = [device.output(x.shape), device.output([rows])]
    device.run(forward, { x, weight, y, inverse }, { rows, cols, eps }, groupsForRows(rows))
    return [y, inverse]
  },

  /** [dy, x, weight, inverse] -> [dx, dweight] */
  HeedRmsNormGradient(device, [dy, x, weight, inverse]: [tf.TensorInfo, tf.TensorInfo, tf.TensorInfo, tf.TensorInfo]) {
    const [rows, cols] = rowsAndCols(x)
    const dx = device.output(x.shape)
    device.run(inputGradient, { dy, x, weight, inverse, dx }, { rows, cols }, groupsForRows(rows))
    return [dx, ...sumColumns(device, weightGradient, { dy, x, inverse }, rows, cols)]
  },
}
