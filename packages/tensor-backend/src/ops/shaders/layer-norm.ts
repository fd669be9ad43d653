import { groupsForRows, rowwise, type Shader, type WebgpuKernel } from '../../backends/webgpu-device.ts'
import type { tf } from '../../tf.ts'
import { rowsAndCols } from '../fused.ts'
import { columnSumsShader, sumColumns, sumRows } from './column-sums.ts'

const forward: Shader = {
  reads: { x: 'f32', weight: 'f32', bias: 'f32' },
  writes: { y: 'f32', mean: 'f32', inverse: 'f32' },
  params: { rows: 'u32', cols: 'u32', eps: 'f32', has_bias: 'u32' },
  code: rowwise(`
    let start = row * params.cols;
    var total = 0.0;
    for (var col = lane; col < params.cols; col += LANES) { total += x[start + col]; }
    let centre = sum_of_lanes(total, lane) / f32(params.cols);
    // Squares of the distances, not x² - mean²: that cancels.
    var squares = 0.0;
    for (var col = lane; col < params.cols; col += LANES) {
      let distance = x[start + col] - centre;
      squares += distance * distance;
    }
    let scale = 1 / sqrt(sum_of_lanes(squares, lane) / f32(params.cols) + params.eps);
    for (var col = lane; col < params.cols; col += LANES) {
      let normal = (x[start + col] - centre) * scale * weight[col];
      if (params.has_bias != 0) { y[start + col] = normal + bias[col]; }
      else { y[start + col] = normal; }
    }
    if (lane == 0) {
      mean[row] = centre;
      inverse[row] = scale;
    }
`),
}

/** With g = dy · weight and xhat = (x - mean) · inverse: dx = inverse · (g - mean(g) - xhat · mean(g · xhat)). */
const inputGradient: Shader = {
  reads: { dy: 'f32', x: 'f32', weight: 'f32', mean: 'f32', inverse: 'f32' },
  writes: { dx: 'f32' },
  params: { rows: 'u32', cols: 'u32' },
  code: rowwise(`
    let start = row * params.cols;
    let centre = mean[row];
    let scale = inverse[row];
    var total = 0.0;
    var products = 0.0;
    for (var col = lane; col < params.cols; col += LANES) {
      let g = dy[start + col] * weight[col];
      total += g;
      products += g * (x[start + col] - centre) * scale;
    }
    let mean_g = sum_of_lanes(total, lane) / f32(params.cols);
    let mean_product = sum_of_lanes(products, lane) / f32(params.cols);
    for (var col = lane; col < params.cols; col += LANES) {
      let normal = (x[start + col] - centre) * scale;
      dx[start + col] = (dy[start + col] * weight[col] - mean_g - normal * mean_product) * scale;
    }
`),
}

const weightGradient = columnSumsShader(
  { dy: 'f32', x: 'f32', mean: 'f32', inverse: 'f32' },
  ['dweight'],
  'dweight_total += dy[i] * (x[i] - mean[row]) * inverse[row];',
)

export const layerNormShaders: Record<string, WebgpuKernel> = {
  /** [x, weight, bias?] -> [y, mean, inverse], mean and inverse: [rows]. */
  HeedLayerNorm(device, [x, weight, bias]: [tf.TensorInfo, tf.TensorInfo, tf.TensorInfo?], { eps }: { eps: number }) {
    const [rows, cols] = rowsAndCols(x)
    const outputs = { y: device.output(x.shape), mean: device.output([rows]), inverse: device.output([rows]) }
    const tensors = { x, weight, bias: bias ?? weight, ...outputs }
    device.run(forward, tensors, { rows, cols, eps, has_bias: bias ? 1 : 0 }, groupsForRows(rows))
    return Object.values(outputs)
  },

  /** [dy, x, weight, mean, inverse] -> [dx, dweight, dbias?] */
  HeedLayerNormGradient(device, inputs: tf.TensorInfo[], { hasBias }: { hasBias: boolean }) {
    const [dy, x, weight, mean, inverse] = inputs as [
      tf.TensorInfo,
      tf.TensorInfo,
      tf.TensorInfo,
      tf.TensorInfo,
      tf.TensorInfo,
    ]
    const [rows, cols] = rowsAndCols(x)
    const dx = device.output(x.shape)
    device.run(inputGradient, { dy, x, weight, mean, inverse, dx }, { rows, cols }, groupsForRows(rows))
    const [dweight] = sumColumns(device, weightGradient, { dy, x, mean, inverse }, rows, cols)
    return [dx, dweight!, ...(hasBias ? [sumRows(device, dy, rows, cols)] : [])]
  },
}
