import type { Shader, WebgpuDevice, WebgpuKernel } from '../../backends/webgpu-device.ts'
import { elementwise, groupsForElements } from '../../backends/webgpu-device.ts'
import { tf } from '../../tf.ts'
import type { AttentionAttributes } from '../attention-kernels.ts'
import {
  type AttentionProblem,
  type AttentionVariant,
  attentionFunctions,
  attentionParams,
  attentionProblem,
  attentionReads,
  perVariant,
  tileSize,
} from './attention-problem.ts'

/** Of each row of [batch, heads, queries]: its lse, and delta = dout · out, which its softmax subtracts. */
const stats: Shader = {
  reads: { dout: 'f32', out: 'f32', lse: 'f32' },
  writes: { row_stats: 'vec2<f32>' },
  params: { count: 'u32', queries: 'u32', heads: 'u32', value_dim: 'u32' },
  code: elementwise(`
    let b = i / params.queries / params.heads;
    let h = i / params.queries % params.heads;
    let at = ((b * params.queries + i % params.queries) * params.heads + h) * params.value_dim;
    var delta = 0.0;
    for (var d = 0u; d < params.value_dim; d++) { delta += dout[at + d] * out[at + d]; }
    row_stats[i] = vec2(lse[i], delta);
`),
}

/**
 * P = e^(score - lse) and dscore = P · (dP - delta), both with the dropout mask where there is one. Dao et al. 2022,
 * algorithm 4.
 */
const scoreGradient = `
struct ScoreGradient { weight: f32, dscore: f32 }

fn gradient_of(product: f32, dweight: f32, b: u32, i: u32, h: u32, j: u32) -> ScoreGradient {
  if (!is_visible(b, i, j)) { return ScoreGradient(0, 0); }
  let score = score_of(product, b, i, h, j);
  let row = row_stats[row_at(b, i, h)];
  let weight = select(0.0, exp(score - row.x), score > VISIBLE);
  let kept = keep(score_at(b, i, h, j));
  return ScoreGradient(weight * kept, weight * (dweight * kept - row.y));
}
`

function gradientReads(variant: AttentionVariant): Shader['reads'] {
  return { ...attentionReads(variant), row_stats: 'vec2<f32>', dout: 'f32' }
}

/** dq of a few rows, past tiles of 64 keys: dscore by one thread a key, its product with k by one thread a channel. */
const queryGradient = perVariant(variant => {
  const rows = tileSize(variant.headDim + variant.valueDim)
  return {
    reads: gradientReads(variant),
    writes: { dq: 'f32' },
    params: attentionParams,
    code: `
${attentionFunctions(variant)}
${scoreGradient}
const ROWS = ${rows}u;
const PER_LANE = ${variant.headDim / 64}u; // channels of queries
var<workgroup> queries: array<f32, ROWS * MAX_HEAD_DIM>;
var<workgroup> douts: array<f32, ROWS * MAX_VALUE_DIM>;
var<workgroup> dproducts: array<f32, ROWS * LANES>;

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
  for (var at = lane; at < num_rows * params.value_dim; at += LANES) {
    let row = first_row + at / params.value_dim;
    douts[at] = dout[out_at(b, row / group, kv * group + row % group) + at % params.value_dim];
  }
  var sums: array<f32, ROWS * PER_LANE>;
  let first_key = visible_keys(first_row / group).x;
  let end_key = visible_keys((first_row + num_rows - 1) / group).y;
  workgroupBarrier();

  for (var key0 = first_key; key0 < end_key; key0 += LANES) {
    let j = key0 + lane;
    var products = array<f32, ROWS>();
    var dweights = array<f32, ROWS>();
    if (j < end_key && !is_padding(b, j)) {
      let key = key_at(b, j, kv);
      for (var d = 0u; d < params.head_dim; d++) {
        for (var r = 0u; r < ROWS; r++) { products[r] += queries[r * params.head_dim + d] * k[key + d]; }
      }
      let value = value_at(b, j, kv);
      for (var d = 0u; d < params.value_dim; d++) {
        for (var r = 0u; r < ROWS; r++) { dweights[r] += douts[r * params.value_dim + d] * v[value + d]; }
      }
    }
    for (var r = 0u; r < ROWS; r++) {
      let row = first_row + r;
      var dproduct = 0.0;
      if (r < num_rows && j < end_key) {
        let each = gradient_of(products[r], dweights[r], b, row / group, kv * group + row % group, j);
        dproduct = each.dscore * score_slope(products[r]);
      }
      dproducts[r * LANES + lane] = dproduct;
    }
    workgroupBarrier();
    let count = min(LANES, end_key - key0);
    for (var at = 0u; at < count; at++) {
      if (is_padding(b, key0 + at)) { continue; }
      let key = key_at(b, key0 + at, kv);
      for (var c = 0u; c < PER_LANE; c++) {
        let channel = c * LANES + lane;
        if (channel < params.head_dim) {
          for (var r = 0u; r < ROWS; r++) { sums[r * PER_LANE + c] += dproducts[r * LANES + at] * k[key + channel]; }
        }
      }
    }
    workgroupBarrier();
  }

  for (var r = 0u; r < num_rows; r++) {
    let row = first_row + r;
    let at = query_at(b, row / group, kv * group + row % group);
    for (var c = 0u; c < PER_LANE; c++) {
      let channel = c * LANES + lane;
      if (channel < params.head_dim) { dq[at + channel] = sums[r * PER_LANE + c]; }
    }
  }
}`,
  }
})

/** Keys of a workgroup of `keyGradient`. */
function keysPerGroup({ headDim, valueDim }: AttentionVariant): number {
  return tileSize(headDim + valueDim)
}

/** dk and dv of a few keys, past tiles of 64 rows: the same with keys and rows exchanged. */
const keyGradient = perVariant(variant => {
  const { headDim, valueDim } = variant
  return {
    reads: gradientReads(variant),
    writes: { dk: 'f32', dv: 'f32' },
    params: attentionParams,
    code: `
${attentionFunctions(variant)}
${scoreGradient}
const KEYS = ${keysPerGroup(variant)}u;
const KEY_PER_LANE = ${headDim / 64}u; // channels of keys
const VALUE_PER_LANE = ${valueDim / 64}u; // channels of values
var<workgroup> keys: array<f32, KEYS * MAX_HEAD_DIM>;
var<workgroup> values: array<f32, KEYS * MAX_VALUE_DIM>;
var<workgroup> weights: array<f32, KEYS * LANES>;
var<workgroup> dproducts: array<f32, KEYS * LANES>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let b = workgroup.z;
  let kv = workgroup.y;
  let group = params.heads / params.kv_heads;
  let first_key = workgroup.x * KEYS;
  let num_stored = min(KEYS, params.capacity - first_key);
  // Beyond the keys that count there is room of the cache, whose gradient is 0.
  let num_keys = min(num_stored, select(0, params.keys - first_key, params.keys > first_key));
  for (var at = lane; at < num_keys * params.head_dim; at += LANES) {
    keys[at] = k[key_at(b, first_key + at / params.head_dim, kv) + at % params.head_dim];
  }
  for (var at = lane; at < num_keys * params.value_dim; at += LANES) {
    values[at] = v[value_at(b, first_key + at / params.value_dim, kv) + at % params.value_dim];
  }
  var key_sums: array<f32, KEYS * KEY_PER_LANE>;
  var value_sums: array<f32, KEYS * VALUE_PER_LANE>;
  // The queries [first, end) that see any of the keys.
  var first_query = 0u;
  var end_query = select(0, params.queries, num_keys > 0);
  if (params.is_causal != 0) {
    let shift = i32(params.queries) - i32(params.keys);
    first_query = u32(max(0, i32(first_key) + shift));
    if (params.window > 0) {
      let last = i32(first_key + num_keys + params.window) - 1 + shift;
      end_query = min(end_query, u32(max(0, last)));
    }
  }
  let end_row = end_query * group;
  workgroupBarrier();

  for (var row0 = first_query * group; row0 < end_row; row0 += LANES) {
    let row = row0 + lane;
    let i = row / group;
    let h = kv * group + row % group;
    var products = array<f32, KEYS>();
    var dweights = array<f32, KEYS>();
    if (row < end_row) {
      let query = query_at(b, i, h);
      for (var d = 0u; d < params.head_dim; d++) {
        for (var n = 0u; n < KEYS; n++) { products[n] += keys[n * params.head_dim + d] * q[query + d]; }
      }
      let out = out_at(b, i, h);
      for (var d = 0u; d < params.value_dim; d++) {
        for (var n = 0u; n < KEYS; n++) { dweights[n] += values[n * params.value_dim + d] * dout[out + d]; }
      }
    }
    for (var n = 0u; n < KEYS; n++) {
      var each = ScoreGradient(0, 0);
      if (row < end_row && n < num_keys) { each = gradient_of(products[n], dweights[n], b, i, h, first_key + n); }
      weights[n * LANES + lane] = each.weight;
      dproducts[n * LANES + lane] = 0;
      if (each.weight != 0 || each.dscore != 0) {
        dproducts[n * LANES + lane] = each.dscore * score_slope(products[n]);
      }
    }
    workgroupBarrier();
    let count = min(LANES, end_row - row0);
    for (var at = 0u; at < count; at++) {
      let i = (row0 + at) / group;
      let h = kv * group + (row0 + at) % group;
      let query = query_at(b, i, h);
      for (var c = 0u; c < KEY_PER_LANE; c++) {
        let channel = c * LANES + lane;
        if (channel < params.head_dim) {
          for (var n = 0u; n < KEYS; n++) { key_sums[n * KEY_PER_LANE + c] += dproducts[n * LANES + at] * q[query + channel]; }
        }
      }
      let out = out_at(b, i, h);
      for (var c = 0u; c < VALUE_PER_LANE; c++) {
        let channel = c * LANES + lane;
        if (channel < params.value_dim) {
          for (var n = 0u; n < KEYS; n++) { value_sums[n * VALUE_PER_LANE + c] += weights[n * LANES + at] * dout[out + channel]; }
        }
      }
    }
    workgroupBarrier();
  }

  for (var n = 0u; n < num_stored; n++) {
    let key = key_at(b, first_key + n, kv);
    for (var c = 0u; c < KEY_PER_LANE; c++) {
      let channel = c * LANES + lane;
      if (channel < params.head_dim) { dk[key + channel] = key_sums[n * KEY_PER_LANE + c]; }
    }
    let value = value_at(b, first_key + n, kv);
    for (var c = 0u; c < VALUE_PER_LANE; c++) {
      let channel = c * LANES + lane;
      if (channel < params.value_dim) { dv[value + channel] = value_sums[n * VALUE_PER_LANE + c]; }
    }
  }
}`,
  }
})

/** The gradient of every score, one thread each. */
const biasGradient = perVariant(variant => ({
  reads: gradientReads(variant),
  writes: { dscores: 'f32' },
  params: { ...attentionParams, count: 'u32' },
  code: `
${attentionFunctions(variant)}
${scoreGradient}
${elementwise(`
    let j = i % params.keys;
    let query = i / params.keys % params.queries;
    let h = i / params.keys / params.queries % params.heads;
    let b = i / params.keys / params.queries / params.heads;
    let kv = h / (params.heads / params.kv_heads);
    var product = 0.0;
    for (var d = 0u; d < params.head_dim; d++) { product += q[query_at(b, query, h) + d] * k[key_at(b, j, kv) + d]; }
    var dweight = 0.0;
    for (var d = 0u; d < params.value_dim; d++) { dweight += dout[out_at(b, query, h) + d] * v[value_at(b, j, kv) + d]; }
    dscores[i] = gradient_of(product, dweight, b, query, h, j).dscore;
`)}`,
}))

/** Calls `use` with the tensors that the shaders of gradients read. */
function withGradientTensors(
  device: WebgpuDevice,
  [dout, out, lse]: [tf.TensorInfo, tf.TensorInfo, tf.TensorInfo],
  { tensors, params }: AttentionProblem,
  use: (tensors: Record<string, tf.TensorInfo>) => void,
): void {
  const { queries, heads } = params
  const count = tf.util.sizeFromShape(lse.shape)
  const row_stats = device.output([count, 2])
  const sizes = { count, queries, heads, value_dim: params.value_dim }
  device.run(stats, { dout, out, lse, row_stats }, sizes, groupsForElements(count))
  use({ ...tensors, row_stats, dout })
  device.release(row_stats)
}

export const attentionGradientShaders: Record<string, WebgpuKernel> = {
  /** [dout, out, lse, q, k, v, bias?, mask?] -> [dq, dk, dv] */
  HeedAttentionGradient(
    device,
    [dout, out, lse, ...inputs]: [tf.TensorInfo, tf.TensorInfo, tf.TensorInfo, ...tf.TensorInfo[]],
    attributes: AttentionAttributes,
  ) {
    const problem = attentionProblem(inputs, attributes)
    const { variant, params } = problem
    const { batches, queries, heads, kv_heads, capacity } = params
    const [dq, dk, dv] = inputs.slice(0, 3).map(({ shape }) => device.output(shape)) as [
      tf.TensorInfo,
      tf.TensorInfo,
      tf.TensorInfo,
    ]
    const perGroup = keysPerGroup(variant)
    withGradientTensors(device, [dout, out, lse], problem, tensors => {
      const rowGroups = Math.ceil((queries * heads) / kv_heads / perGroup)
      device.run(queryGradient(variant), { ...tensors, dq }, params, [rowGroups, kv_heads, batches])
      const keyGroups = Math.ceil(capacity / perGroup)
      device.run(keyGradient(variant), { ...tensors, dk, dv }, params, [keyGroups, kv_heads, batches])
    })
    return [dq, dk, dv]
  },

  /** [dout, out, lse, q, k, v, bias, mask?] -> the gradient of every score, [batch, numHeads, seqLen, keyLen] */
  HeedAttentionBiasGradient(
    device,
    [dout, out, lse, ...inputs]: [tf.TensorInfo, tf.TensorInfo, tf.TensorInfo, ...tf.TensorInfo[]],
    attributes: AttentionAttributes,
  ) {
    const problem = attentionProblem(inputs, attributes)
    const { variant, params } = problem
    const dscores = device.output([params.batches, params.heads, params.queries, params.keys])
    const count = tf.util.sizeFromShape(dscores.shape)
    withGradientTensors(device, [dout, out, lse], problem, tensors => {
      device.run(biasGradient(variant), { ...tensors, dscores }, { ...params, count }, groupsForElements(count))
    })
    return dscores
  },
}
