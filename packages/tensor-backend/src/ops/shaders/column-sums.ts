import type { Shader, WebgpuDevice } from '../../backends/webgpu-device.ts'
import type { tf } from '../../tf.ts'

// Columns of a workgroup: one each thread.
const columns = 64

/**
 * A `main` for sums over rows: in the workgroup (x, y) each thread adds up `term` of one column `col` over the rows of part
 * y, then stores it with `store`, where `at` is the place in [parts, cols].
 */
function sumOverRows(names: string[], term: string): string {
  return `
@compute @workgroup_size(${columns})
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let col = id.x;
  if (col >= params.cols) { return; }
  let per_part = (params.rows + groups.y - 1) / groups.y;
  let end = min(params.rows, (id.y + 1) * per_part);
  ${names.map(name => `var ${name}_total = 0.0;`).join('\n  ')}
  for (var row = id.y * per_part; row < end; row++) {
    let i = row * params.cols + col;
    ${term}
  }
  ${names.map(name => `${name}[id.y * params.cols + col] = ${name}_total;`).join('\n  ')}
}`
}

/** A shader that adds up terms over rows; `term` adds to `<name>_total` for each name, with `row`, `col` and `i`. */
export function columnSumsShader(reads: Record<string, string>, names: string[], term: string): Shader {
  return {
    reads,
    writes: Object.fromEntries(names.map(name => [name, 'f32'])),
    params: { rows: 'u32', cols: 'u32' },
    code: sumOverRows(names, term),
  }
}

const plainSums = columnSumsShader({ x: 'f32' }, ['sums'], 'sums_total += x[i];')

/** The rows are cut into parts for enough threads, whatever the device, so that sums do not depend on it. */
function partsOf(rows: number): number {
  return Math.max(1, Math.min(64, Math.ceil(rows / 16)))
}

/** The sums [cols] over `rows` rows of what `shader` adds up, in two passes; one tensor for each name it writes. */
export function sumColumns(
  device: WebgpuDevice,
  shader: Shader,
  tensors: Record<string, tf.TensorInfo>,
  rows: number,
  cols: number,
): tf.TensorInfo[] {
  const names = Object.keys(shader.writes)
  const parts = partsOf(rows)
  const groups = Math.ceil(cols / columns)
  const partial = Object.fromEntries(names.map(name => [name, device.output([parts, cols])]))
  device.run(shader, { ...tensors, ...partial }, { rows, cols }, [groups, parts])
  return names.map(name => {
    const sums = device.output([cols])
    device.run(plainSums, { x: partial[name]!, sums }, { rows: parts, cols }, [groups])
    device.release(partial[name]!)
    return sums
  })
}

/** The sums [cols] over the rows of x. */
export function sumRows(device: WebgpuDevice, x: tf.TensorInfo, rows: number, cols: number): tf.TensorInfo {
  return sumColumns(device, plainSums, { x }, rows, cols)[0]!
}
