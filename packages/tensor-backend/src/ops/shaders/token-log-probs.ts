import { groupsForRows, rowwise, type Shader, type WebgpuKernel } from '../../backends/webgpu-device.ts'
import type { tf } from '../../tf.ts'
import { rowsAndCols } from '../fused.ts'
import { logSumExp } from './cross-entropy.ts'

/** y = logit of the id - lse of its row; an id outside the table gives 0. */
const forward: Shader = {
  reads: { logits: 'f32', ids: 'i32' },
  writes: { y: 'f32', lse: 'f32' },
  params: { rows: 'u32', cols: 'u32' },
  code: rowwise(`
    let start = row * params.cols;
    ${logSumExp}
    if (lane == 0) {
      let id = ids[row];
      y[row] = 0;
      if (id >= 0 && u32(id) < params.cols) { y[row] = logits[start + u32(id)] - shift; }
      lse[row] = shift;
    }
`),
}

/** dlogits = dy · ((1 at the id) - softmax(logits)), dy [rows]. */
const gradient: Shader = {
  reads: { dy: 'f32', logits: 'f32', ids: 'i32', lse: 'f32' },
  writes: { dlogits: 'f32' },
  params: { rows: 'u32', cols: 'u32' },
  code: rowwise(`
    let start = row * params.cols;
    let id = ids[row];
    let factor = select(0.0, dy[row], id >= 0 && u32(id) < params.cols);
    for (var col = lane; col < params.cols; col += LANES) {
      let wanted = select(0.0, 1.0, i32(col) == id);
      dlogits[start + col] = factor * (wanted - exp(logits[start + col] - lse[row]));
    }
`),
}

export const tokenLogProbsShaders: Record<string, WebgpuKernel> = {
  /** [logits, ids] -> [y, lse]; lse: [rows], log Σ e^logit. */
  HeedTokenLogProbs(device, [logits, ids]: [tf.TensorInfo, tf.TensorInfo]) {
    const [rows, cols] = rowsAndCols(logits)
    const [y, lse] = [device.output(ids.shape), device.output([rows])]
    device.run(forward, { logits, ids, y, lse }, { rows, cols }, groupsForRows(rows))
    return [y, lse]
  },

  /** [dy, logits, ids, lse] -> dlogits */
  HeedTokenLogProbsGradient(
    device,
    [dy, logits, ids, lse]: [tf.TensorInfo, tf.TensorInfo, tf.TensorInfo, tf.TensorInfo],
  ) {
    const [rows, cols] = rowsAndCols(logits)
    const dlogits = device.output(logits.shape)
    device.run(gradient, { dy, logits, ids, lse, dlogits }, { rows, cols }, groupsForRows(rows))
    return dlogits
  },
}
