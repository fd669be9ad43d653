import { groupsForRows, rowwise, type Shader, type WebgpuKernel } from '../../backends/webgpu-device.ts'
import type { tf } from '../../tf.ts'
import type { CrossEntropyOptions } from '../cross-entropy.ts'
import { rowsAndCols } from '../fused.ts'

/**
 * WGSL that gives `shift`, log Σ e^logit of the row that begins at `start`. -Infinity may be among the logits, so the
 * highest starts at the lowest float.
 */
export const logSumExp = `
    var top = -3.4028234e38;
    for (var col = lane; col < params.cols; col += LANES) { top = max(top, logits[start + col]); }
    let highest = max_of_lanes(top, lane);
    var exps = 0.0;
    for (var col = lane; col < params.cols; col += LANES) { exps += exp(logits[start + col] - highest); }
    let shift = highest + log(sum_of_lanes(exps, lane));
`

/** The loss of each row; a label outside the table has only the smoothed part, as a row of zeros in a one-hot matrix. */
const forward: Shader = {
  reads: { logits: 'f32', labels: 'i32' },
  writes: { losses: 'f32', lse: 'f32' },
  params: { rows: 'u32', cols: 'u32', ignored: 'i32', smoothing: 'f32' },
  code: rowwise(`
    let start = row * params.cols;
    ${logSumExp}
    var total = 0.0;
    if (params.smoothing > 0) {
      for (var col = lane; col < params.cols; col += LANES) { total += logits[start + col]; }
    }
    let mean = sum_of_lanes(total, lane) / f32(params.cols);
    if (lane == 0) {
      let label = labels[row];
      var loss = 0.0;
      if (params.smoothing > 0) { loss = params.smoothing * (shift - mean); }
      if (label >= 0 && u32(label) < params.cols) {
        loss += (1 - params.smoothing) * (shift - logits[start + u32(label)]);
      }
      losses[row] = select(loss, 0, label == params.ignored);
      lse[row] = shift;
    }
`),
}

/** One workgroup: loss = weight · Σ losses, and weight itself, 1 or 1 / the number of rows that count. */
const reduce: Shader = {
  reads: { losses: 'f32', labels: 'i32' },
  writes: { loss: 'f32', weight: 'f32' },
  params: { rows: 'u32', labelled: 'u32', ignored: 'i32', is_mean: 'u32' },
  code: rowwise(`
    var total = 0.0;
    var counted = 0.0;
    for (var i = lane; i < params.labelled; i += LANES) {
      total += losses[i];
      counted += select(1.0, 0.0, labels[i] == params.ignored);
    }
    let sum = sum_of_lanes(total, lane);
    let count = sum_of_lanes(counted, lane);
    if (lane == 0) {
      let factor = select(1 / max(count, 1), 1, params.is_mean == 0);
      weight[row] = factor;
      loss[row] = sum * factor;
    }
`),
}

/** dlogits = dloss · weight · (softmax(logits) - smoothing / cols - (1 - smoothing) at the label); 0 in ignored rows. */
const gradient: Shader = {
  reads: { dloss: 'f32', logits: 'f32', labels: 'i32', lse: 'f32', weight: 'f32' },
  writes: { dlogits: 'f32' },
  params: { rows: 'u32', cols: 'u32', ignored: 'i32', smoothing: 'f32' },
  code: rowwise(`
    let start = row * params.cols;
    let label = labels[row];
    let is_inside = label >= 0 && u32(label) < params.cols;
    let factor = select(dloss[0] * weight[0], 0, label == params.ignored);
    let share = select(params.smoothing, 1, is_inside); // of the target, which softmax is multiplied by
    for (var col = lane; col < params.cols; col += LANES) {
      var g = share * exp(logits[start + col] - lse[row]) - params.smoothing / f32(params.cols);
      if (is_inside && col == u32(label)) { g -= 1 - params.smoothing; }
      dlogits[start + col] = g * factor;
    }
`),
}

export const crossEntropyShaders: Record<string, WebgpuKernel> = {
  /** [logits, labels] -> [loss, lse, weight]; lse: [rows], log Σ e^logit; weight: [], what each row's loss is multiplied by. */
  HeedCrossEntropy(
    device,
    [logits, labels]: [tf.TensorInfo, tf.TensorInfo],
    { ignoreIndex: ignored, labelSmoothing: smoothing, reduction }: Required<CrossEntropyOptions>,
  ) {
    const [rows, cols] = rowsAndCols(logits)
    const [loss, lse, weight, losses] = [[], [rows], [], [rows]].map(shape => device.output(shape)) as [
      tf.TensorInfo,
      tf.TensorInfo,
      tf.TensorInfo,
      tf.TensorInfo,
    ]
    device.run(forward, { logits, labels, losses, lse }, { rows, cols, ignored, smoothing }, groupsForRows(rows))
    const is_mean = reduction === 'mean' ? 1 : 0
    device.run(reduce, { losses, labels, loss, weight }, { rows: 1, labelled: rows, ignored, is_mean }, [1])
    device.release(losses)
    return [loss, lse, weight]
  },

  /** [dloss, logits, labels, lse, weight] -> dlogits */
  HeedCrossEntropyGradient(
    device,
    inputs: tf.TensorInfo[],
    { ignoreIndex: ignored, labelSmoothing: smoothing }: Required<CrossEntropyOptions>,
  ) {
    const [dloss, logits, labels, lse, weight] = inputs as [
      tf.TensorInfo,
      tf.TensorInfo,
      tf.TensorInfo,
      tf.TensorInfo,
      tf.TensorInfo,
    ]
    const [rows, cols] = rowsAndCols(logits)
    const dlogits = device.output(logits.shape)
    const params = { rows, cols, ignored, smoothing }
    device.run(gradient, { dloss, logits, labels, lse, weight, dlogits }, params, groupsForRows(rows))
    return dlogits
  },
}
