import { elementwise, groupsForElements, type Shader, type WebgpuKernel } from '../../backends/webgpu-device.ts'
import { tf } from '../../tf.ts'
import { dropThreshold } from '../dropout.ts'

/** The mask of `dropoutMask`: what element i is multiplied by, with params.drop_below, keep_scale and seed. */
export const dropoutFunction = `
fn keep(i: u32) -> f32 {
  var hash = params.seed + i * 0x9e3779b9u;
  hash = (hash ^ (hash >> 16)) * 0x85ebca6bu;
  hash = (hash ^ (hash >> 13)) * 0xc2b2ae35u;
  return select(params.keep_scale, 0, (hash ^ (hash >> 16)) < params.drop_below);
}
`
export const dropoutParams = { drop_below: 'u32', keep_scale: 'f32', seed: 'u32' } as const

export function dropoutValues(rate: number, seed: number): Record<keyof typeof dropoutParams, number> {
  return { drop_below: dropThreshold(rate), keep_scale: 1 / (1 - rate), seed: seed >>> 0 }
}

const shader: Shader = {
  reads: { x: 'f32' },
  writes: { y: 'f32' },
  params: { count: 'u32', ...dropoutParams },
  code: dropoutFunction + elementwise('y[i] = x[i] * keep(i);'),
}

export const dropoutShaders: Record<string, WebgpuKernel> = {
  /** [x] -> y; of a gradient just the same. */
  HeedDropout(device, [x]: [tf.TensorInfo], { rate, seed }: { rate: number; seed: number }) {
    const y = device.output(x.shape)
    const count = tf.util.sizeFromShape(x.shape)
    device.run(shader, { x, y }, { count, ...dropoutValues(rate, seed) }, groupsForElements(count))
    return y
  },
}
