import type { Shader, WebgpuDevice, WebgpuKernel } from '../../backends/webgpu-device.ts'
import type { tf } from '../../tf.ts'
import { rowsAndCols } from '../fused.ts'
import { activationFunctions } from './activation.ts'
import { sumRows } from './column-sums.ts'

/** Stores one element of the product, with bias and activation. */
const store = `
fn store(i: u32, col: u32, sum: f32) {
  var z = sum;
  if (params.has_bias != 0) { z += bias[col]; }
  if (params.keeps_before != 0) { before[i] = z; }
  c[i] = activate(z, params.kind);
}
`

const reads = { a: 'f32', b: 'f32', bias: 'f32' }
const writes = { c: 'f32', before: 'f32' }
const params = {
  rows: 'u32',
  cols: 'u32',
  depth: 'u32',
  kind: 'u32',
  has_bias: 'u32',
  keeps_before: 'u32',
  is_a_transposed: 'u32', // A is [depth, rows]
  is_b_transposed: 'u32', // B is [cols, depth]
} as const

const tile = 64

/**
 * C [rows, cols] = op(A) · op(B). A workgroup of 16 x 16 threads makes a tile of 64 x 64, each thread 4 x 4 of it, from
 * slices of A and B, 16 deep, that it keeps in shared memory.
 */
const tiledProduct: Shader = {
  reads,
  writes,
  params,
  code: `
const TILE = ${tile}u;
const DEPTH = 16u;
var<workgroup> a_tile: array<f32, TILE * DEPTH>; // [DEPTH, TILE]
var<workgroup> b_tile: array<f32, TILE * DEPTH>; // [DEPTH, TILE]
${activationFunctions}
${store}

fn load_a(row: u32, d: u32) -> f32 {
  if (row >= params.rows || d >= params.depth) { return 0; }
  if (params.is_a_transposed != 0) { return a[d * params.rows + row]; }
  return a[row * params.depth + d];
}

fn load_b(d: u32, col: u32) -> f32 {
  if (col >= params.cols || d >= params.depth) { return 0; }
  if (params.is_b_transposed != 0) { return b[col * params.depth + d]; }
  return b[d * params.cols + col];
}

@compute @workgroup_size(16, 16)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_id) local: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let is_a_transposed = params.is_a_transposed != 0;
  let is_b_transposed = params.is_b_transposed != 0;
  let row0 = group.y * TILE;
  let col0 = group.x * TILE;
  var sums: array<vec4<f32>, 4>;
  for (var d0 = 0u; d0 < params.depth; d0 += DEPTH) {
    // Neighbouring threads read neighbours in memory, whichever axis lies there.
    for (var i = lane; i < TILE * DEPTH; i += 256) {
      let a_row = select(i / DEPTH, i % TILE, is_a_transposed);
      let a_d = select(i % DEPTH, i / TILE, is_a_transposed);
      a_tile[a_d * TILE + a_row] = load_a(row0 + a_row, d0 + a_d);
      let b_col = select(i % TILE, i / DEPTH, is_b_transposed);
      let b_d = select(i / TILE, i % DEPTH, is_b_transposed);
      b_tile[b_d * TILE + b_col] = load_b(d0 + b_d, col0 + b_col);
    }
    workgroupBarrier();
    for (var d = 0u; d < DEPTH; d++) {
      let at_a = d * TILE + local.y * 4;
      let at_b = d * TILE + local.x * 4;
      let right = vec4(b_tile[at_b], b_tile[at_b + 1], b_tile[at_b + 2], b_tile[at_b + 3]);
      sums[0] += a_tile[at_a] * right;
      sums[1] += a_tile[at_a + 1] * right;
      sums[2] += a_tile[at_a + 2] * right;
      sums[3] += a_tile[at_a + 3] * right;
    }
    workgroupBarrier();
  }
  for (var r = 0u; r < 4; r++) {
    let row = row0 + local.y * 4 + r;
    for (var s = 0u; s < 4; s++) {
      let col = col0 + local.x * 4 + s;
      if (row < params.rows && col < params.cols) { store(row * params.cols + col, col, sums[r][s]); }
    }
  }
}`,
}

// Up to this many rows the reading of B bounds the time, above it arithmetic does.
const maxVectorRows = 8

/** The same for few rows, as in decoding: 64 threads make one column of C and read its row of B once. B is [cols, depth]. */
const vectorProduct: Shader = {
  reads,
  writes,
  params,
  code: `
const LANES = 64u;
const MAX_ROWS = ${maxVectorRows}u;
var<workgroup> partial: array<f32, LANES * MAX_ROWS>;
${activationFunctions}
${store}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  for (var col = group.x; col < params.cols; col += groups.x) {
    var sums = array<f32, MAX_ROWS>();
    for (var d = lane; d < params.depth; d += LANES) {
      let right = b[col * params.depth + d];
      for (var row = 0u; row < params.rows; row++) { sums[row] += a[row * params.depth + d] * right; }
    }
    for (var row = 0u; row < params.rows; row++) { partial[row * LANES + lane] = sums[row]; }
    for (var half = LANES / 2; half > 0; half >>= 1) {
      workgroupBarrier();
      if (lane < half) {
        for (var row = 0u; row < params.rows; row++) {
          partial[row * LANES + lane] += partial[row * LANES + lane + half];
        }
      }
    }
    workgroupBarrier();
    if (lane < params.rows) { store(lane * params.cols + col, col, partial[lane * LANES]); }
    workgroupBarrier();
  }
}`,
}

interface Product {
  a: tf.TensorInfo
  b: tf.TensorInfo
  c: tf.TensorInfo
  bias?: tf.TensorInfo | undefined
  before?: tf.TensorInfo | undefined
  isATransposed?: boolean
  isBTransposed?: boolean
  kind?: number
}

/** C [rows, cols] = op(A) · op(B), summed over `depth`. */
function multiply(device: WebgpuDevice, rows: number, cols: number, depth: number, product: Product): void {
  const { a, b, c, bias, before, isATransposed = false, isBTransposed = false, kind = 0 } = product
  // A binding that is written must not be another one too: without `before` it is a float of its own.
  const spare = before ?? device.output([1])
  const tensors = { a, b, c, bias: bias ?? a, before: spare }
  const values = {
    ...{ rows, cols, depth, kind, has_bias: bias ? 1 : 0, keeps_before: before ? 1 : 0 },
    ...{ is_a_transposed: isATransposed ? 1 : 0, is_b_transposed: isBTransposed ? 1 : 0 },
  }
  if (rows <= maxVectorRows && isBTransposed && !isATransposed) {
    const groups = rows === 0 ? 0 : Math.min(cols, 65535)
    device.run(vectorProduct, tensors, values, [groups])
  } else {
    const groups: [number, number] = [Math.ceil(cols / tile), Math.ceil(rows / tile)]
    device.run(tiledProduct, tensors, values, groups)
  }
  if (!before) device.release(spare)
}

export const linearShaders: Record<string, WebgpuKernel> = {
  /** [x, weight, bias?] -> [y], or with keepsBefore [y, before the activation] */
  HeedLinear(
    device,
    [x, weight, bias]: [tf.TensorInfo, tf.TensorInfo, tf.TensorInfo?],
    { kind, isInOut, keepsBefore }: { kind: number; isInOut: boolean; keepsBefore: boolean },
  ) {
    const [rows, depth] = rowsAndCols(x)
    const cols = weight.shape[isInOut ? 1 : 0]!
    const shape = [...x.shape.slice(0, -1), cols]
    const y = device.output(shape)
    const before = keepsBefore ? device.output(shape) : undefined
    multiply(device, rows, cols, depth, { a: x, b: weight, c: y, bias, before, isBTransposed: !isInOut, kind })
    return before ? [y, before] : [y]
  },

  /** [dz, weight] -> dx = dz · weight, or dz · weightᵀ of a weight [inFeatures, outFeatures] */
  HeedLinearInputGradient(device, [dz, weight]: [tf.TensorInfo, tf.TensorInfo], { isInOut }: { isInOut: boolean }) {
    const [rows, depth] = rowsAndCols(dz)
    const cols = weight.shape[isInOut ? 0 : 1]!
    const dx = device.output([...dz.shape.slice(0, -1), cols])
    multiply(device, rows, cols, depth, { a: dz, b: weight, c: dx, isBTransposed: isInOut })
    return dx
  },

  /** [dz, x] -> dweight = dzᵀ · x, over all rows; [x, dz] -> that of a weight [inFeatures, outFeatures] */
  HeedLinearWeightGradient(device, [left, right]: [tf.TensorInfo, tf.TensorInfo]) {
    const [depth, rows] = rowsAndCols(left)
    const cols = right.shape.at(-1)!
    const dweight = device.output([rows, cols])
    multiply(device, rows, cols, depth, { a: left, b: right, c: dweight, isATransposed: true })
    return dweight
  },

  /** [dz] -> dbias, the sum of its rows */
  HeedLinearBiasGradient(device, [dz]: [tf.TensorInfo]) {
    return sumRows(device, dz, ...rowsAndCols(dz))
  },
}
