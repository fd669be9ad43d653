import {
  elementwise,
  groupsForElements,
  type Shader,
  type WebgpuDevice,
  type WebgpuKernel,
} from '../../backends/webgpu-device.ts'
import { tf } from '../../tf.ts'

/** An id outside the table gives zeros. */
const forward: Shader = {
  reads: { ids: 'i32', weight: 'f32' },
  writes: { y: 'f32' },
  params: { count: 'u32', vocab_size: 'u32', hidden_size: 'u32' },
  code: elementwise(`
    let id = ids[i / params.hidden_size];
    if (id >= 0 && u32(id) < params.vocab_size) { y[i] = weight[u32(id) * params.hidden_size + i % params.hidden_size]; }
    else { y[i] = 0; }
`),
}

// Threads of a workgroup, and the channels it adds up at a time: one each.
const lanes = 64

/**
 * dweight += the gradient. The workgroup of the first position with an id adds up the gradients of all positions with this
 * id, in their order: the sum is the same on every run, which atomic additions would not give.
 */
const gradient: Shader = {
  reads: { dy: 'f32', ids: 'i32' },
  writes: { dweight: 'f32' },
  params: { count: 'u32', vocab_size: 'u32', hidden_size: 'u32' },
  code: `
const LANES = ${lanes}u;
var<workgroup> is_repeated: atomic<u32>;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  for (var first = group.x; first < params.count; first += groups.x) {
    let id = ids[first];
    atomicStore(&is_repeated, 0);
    workgroupBarrier();
    for (var before = lane; before < first; before += LANES) {
      if (ids[before] == id) { atomicStore(&is_repeated, 1); }
    }
    workgroupBarrier();
    if (atomicLoad(&is_repeated) == 0 && id >= 0 && u32(id) < params.vocab_size) {
      for (var channel = lane; channel < params.hidden_size; channel += LANES) {
        var total = 0.0;
        for (var position = first; position < params.count; position++) {
          if (ids[position] == id) { total += dy[position * params.hidden_size + channel]; }
        }
        dweight[u32(id) * params.hidden_size + channel] += total;
      }
    }
    workgroupBarrier();
  }
}`,
}

function addRows(device: WebgpuDevice, dweight: tf.TensorInfo, dy: tf.TensorInfo, ids: tf.TensorInfo): void {
  const [vocab_size, hidden_size] = dweight.shape as [number, number]
  const count = tf.util.sizeFromShape(ids.shape)
  device.run(gradient, { dy, ids, dweight }, { count, vocab_size, hidden_size }, [Math.min(count, 65535)])
}

export const embeddingShaders: Record<string, WebgpuKernel> = {
  /** [ids, weight] -> y */
  HeedEmbedding(device, [ids, weight]: [tf.TensorInfo, tf.TensorInfo]) {
    const [vocab_size, hidden_size] = weight.shape as [number, number]
    const y = device.output([...ids.shape, hidden_size])
    const count = tf.util.sizeFromShape(y.shape)
    device.run(forward, { ids, weight, y }, { count, vocab_size, hidden_size }, groupsForElements(count))
    return y
  },

  /** [dy, ids] -> dweight */
  HeedEmbeddingGradient(device, [dy, ids]: [tf.TensorInfo, tf.TensorInfo], { vocabSize }: { vocabSize: number }) {
    const dweight = device.output([vocabSize, dy.shape.at(-1)!])
    device.clear(dweight)
    addRows(device, dweight, dy, ids)
    return dweight
  },

  /** [sum, dy, ids] -> [], sum += dweight */
  HeedEmbeddingAccumulate(device, [sum, dy, ids]: [tf.TensorInfo, tf.TensorInfo, tf.TensorInfo]) {
    addRows(device, sum, dy, ids)
    return []
  },
}
