import type { Shader, WebgpuKernel } from '../../backends/webgpu-device.ts'
import type { tf } from '../../tf.ts'
import type { AttentionAttributes } from '../attention-kernels.ts'
import {
  type AttentionVariant,
  attentionFunctions,
  attentionParams,
  attentionProblem,
  attentionReads,
  perVariant,
  tileSize,
} from './attention-problem.ts'

/**
 * softmax(scores) v without the matrix of scores: a workgroup takes a few rows past tiles of 64 keys, and shrinks what it
 * has summed up whenever a higher score comes. Dao et al. 2022 (arXiv:2205.14135), algorithm 1.
 * Scores are made by one thread a key, the sums of values by one thread a channel.
 */
function forwardShader(variant: AttentionVariant, rows: number): Shader {
  const { valueDim } = variant
  const perLane = valueDim / 64
  return {
    reads: attentionReads(variant),
    writes: { out: 'f32', lse: 'f32' },
    params: { ...attentionParams, keeps_lse: 'u32' },
    code: `
${attentionFunctions(variant)}
const ROWS = ${rows}u;
const LANES_PER_ROW = LANES / ROWS;
const PER_LANE = ${perLane}u; // channels of values
var<workgroup> queries: array<f32, ROWS * MAX_HEAD_DIM>;
var<workgroup> weights: array<f32, ROWS * LANES>;
var<workgroup> of_lanes: array<f32, LANES>;
var<workgroup> shrinks: array<f32, ROWS>;
var<workgroup> totals: array<f32, ROWS>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let b = workgroup.z;
  let kv = workgroup.y;
  let group = params.heads / params.kv_heads;
  let first_row = workgroup.x * ROWS;
  let num_rows = min(ROWS, params.queries * group - first_row);
  for (var at = lane; at < num_rows * params.head_dim; at += LANES) {
    let row = first_row + at / params.head_dim;
    queries[at] = q[query_at(b, row / group, kv * group + row % group) + at % params.head_dim];
  }
  // The row whose softmax this thread has a part in.
  let my_row = lane / LANES_PER_ROW;
  var highest = HIDDEN;
  var total = 0.0;
  var sums: array<f32, ROWS * PER_LANE>;
  let first_key = visible_keys(first_row / group).x;
  let end_key = visible_keys((first_row + num_rows - 1) / group).y;
  workgroupBarrier();

  for (var key0 = first_key; key0 < end_key; key0 += LANES) {
    let j = key0 + lane;
    var products = array<f32, ROWS>();
    if (j < end_key) {
      let key = key_at(b, j, kv);
      for (var d = 0u; d < params.head_dim; d++) {
        let each = k[key + d];
        for (var r = 0u; r < ROWS; r++) { products[r] += queries[r * params.head_dim + d] * each; }
      }
    }
    for (var r = 0u; r < ROWS; r++) {
      let row = first_row + r;
      let i = row / group;
      var score = HIDDEN;
      if (r < num_rows && j < end_key && is_visible(b, i, j)) {
        score = score_of(products[r], b, i, kv * group + row % group, j);
      }
      weights[r * LANES + lane] = score;
    }
    workgroupBarrier();

    var tile_highest = HIDDEN;
    for (var at = lane % LANES_PER_ROW; at < LANES; at += LANES_PER_ROW) {
      tile_highest = max(tile_highest, weights[my_row * LANES + at]);
    }
    of_lanes[lane] = tile_highest;
    workgroupBarrier();
    let before = highest;
    for (var other = 0u; other < LANES_PER_ROW; other++) {
      highest = max(highest, of_lanes[my_row * LANES_PER_ROW + other]);
    }
    let shrink = exp(before - highest);
    workgroupBarrier();
    let row = first_row + my_row;
    let row_of_scores = score_at(b, row / group, kv * group + row % group, key0);
    var part = 0.0;
    for (var at = lane % LANES_PER_ROW; at < LANES; at += LANES_PER_ROW) {
      let score = weights[my_row * LANES + at];
      let weight = select(0.0, exp(score - highest), score > VISIBLE);
      part += weight;
      weights[my_row * LANES + at] = weight * keep(row_of_scores + at);
    }
    of_lanes[lane] = part;
    if (lane % LANES_PER_ROW == 0) { shrinks[my_row] = shrink; }
    workgroupBarrier();
    total *= shrink;
    for (var other = 0u; other < LANES_PER_ROW; other++) { total += of_lanes[my_row * LANES_PER_ROW + other]; }

    for (var r = 0u; r < ROWS; r++) {
      for (var c = 0u; c < PER_LANE; c++) { sums[r * PER_LANE + c] *= shrinks[r]; }
    }
    let count = min(LANES, end_key - key0);
    for (var at = 0u; at < count; at++) {
      if (is_padding(b, key0 + at)) { continue; }
      let value = value_at(b, key0 + at, kv);
      for (var c = 0u; c < PER_LANE; c++) {
        let channel = c * LANES + lane;
        if (channel < params.value_dim) {
          let each = v[value + channel];
          for (var r = 0u; r < ROWS; r++) { sums[r * PER_LANE + c] += weights[r * LANES + at] * each; }
        }
      }
    }
    workgroupBarrier();
  }

  if (lane % LANES_PER_ROW == 0) {
    totals[my_row] = total;
    let row = first_row + my_row;
    if (params.keeps_lse != 0 && my_row < num_rows) {
      // Of a row that sees nothing so high that every weight is 0.
      lse[row_at(b, row / group, kv * group + row % group)] = select(highest + log(total), -HIDDEN, total == 0);
    }
  }
  workgroupBarrier();
  for (var r = 0u; r < num_rows; r++) {
    let row = first_row + r;
    let at = out_at(b, row / group, kv * group + row % group);
    let scale = select(1 / totals[r], 0, totals[r] == 0);
    for (var c = 0u; c < PER_LANE; c++) {
      let channel = c * LANES + lane;
      if (channel < params.value_dim) { out[at + channel] = sums[r * PER_LANE + c] * scale; }
    }
  }
}`,
  }
}

// By the number of rows a workgroup takes.
const forward = new Map([1, 2, 4, 8].map(rows => [rows, perVariant(variant => forwardShader(variant, rows))] as const))

export const attentionShaders: Record<string, WebgpuKernel> = {
  /** [q, k, v, bias?, mask?] -> [out, lse] while a gradient is being recorded, else [out]; lse: [batch, numHeads, seqLen]. */
  HeedAttention(device, inputs: tf.TensorInfo[], attributes: AttentionAttributes) {
    const { variant, tensors, params } = attentionProblem(inputs, attributes)
    const { batches, queries, heads, kv_heads } = params
    const out = device.output([batches, queries, heads, params.value_dim])
    const lse = device.output(attributes.isRecording ? [batches, heads, queries] : [1])
    const allRows = (queries * heads) / kv_heads
    const rows = allRows === 1 ? 1 : tileSize(variant.headDim)
    const workgroups: [number, number, number] = [Math.ceil(allRows / rows), kv_heads, batches]
    const shader = forward.get(rows)!(variant)
    const keeps_lse = attributes.isRecording ? 1 : 0
    device.run(shader, { ...tensors, out, lse }, { ...params, keeps_lse }, workgroups)
    if (attributes.isRecording) return [out, lse]
    device.release(lse)
    return [out]
  },
}
