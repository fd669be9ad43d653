import { elementwise, groupsForElements, type Shader, type WebgpuKernel } from '../../backends/webgpu-device.ts'
import { tf } from '../../tf.ts'
import { activationFunctions } from './activation.ts'

const functions = `${activationFunctions}
const SILU = 2u;
`

const forward: Shader = {
  reads: { gate: 'f32', up: 'f32' },
  writes: { y: 'f32' },
  params: { count: 'u32' },
  code: functions + elementwise('y[i] = activate(gate[i], SILU) * up[i];'),
}

const gradient: Shader = {
  reads: { dy: 'f32', gate: 'f32', up: 'f32' },
  writes: { dgate: 'f32', dup: 'f32' },
  params: { count: 'u32' },
  code:
    functions +
    elementwise('dgate[i] = dy[i] * up[i] * slope(gate[i], SILU); dup[i] = dy[i] * activate(gate[i], SILU);'),
}

export const swiGluShaders: Record<string, WebgpuKernel> = {
  /** [gate, up] -> y */
  HeedSwiGlu(device, [gate, up]: [tf.TensorInfo, tf.TensorInfo]) {
    const y = device.output(gate.shape)
    const count = tf.util.sizeFromShape(gate.shape)
    device.run(forward, { gate, up, y }, { count }, groupsForElements(count))
    return y
  },

  /** [dy, gate, up] -> [dgate, dup] */
  HeedSwiGluGradient(device, [dy, gate, up]: [tf.TensorInfo, tf.TensorInfo, tf.TensorInfo]) {
    const [dgate, dup] = [device.output(gate.shape), device.output(up.shape)]
    const count = tf.util.sizeFromShape(gate.shape)
    device.run(gradient, { dy, gate, up, dgate, dup }, { count }, groupsForElements(count))
    return [dgate, dup]
  },
}
