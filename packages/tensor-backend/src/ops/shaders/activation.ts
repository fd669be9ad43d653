import { elementwise, groupsForElements, type Shader, type WebgpuKernel } from '../../backends/webgpu-device.ts'
import { tf } from '../../tf.ts'

/**
 * `activate(x, kind)` and `slope(x, kind)`, its derivative, of the activations numbered as in src/ops/activation.ts.
 * Compare kernels/activation.h: erf within 2e-7 by minimax fits on [0, 1] and [1, 4].
 */
export const activationFunctions = `
const GELU_SCALE = 0.7978845608028654; // sqrt(2 / pi)
const GELU_CUBIC = 0.044715;

fn sigmoid(x: f32) -> f32 {
  // e^-x would overflow.
  return select(1 / (1 + exp(-x)), 0, x < -88);
}

fn normal_cdf(x: f32) -> f32 {
  let z = clamp(x * 0.7071067811865476, -4, 4);
  let t = z * z;
  let near = z * (1.128379166 + t * (-3.761262714e-1 + t * (1.128360018e-1 + t * (-2.685444465e-2 + t *
    (5.189535450e-3 + t * (-8.020842263e-4 + t * 7.889122816e-5))))));
  let s = abs(z);
  let far = 1 - exp(-(3.537187601e-4 + s * (1.127040039 + s * (6.382256721e-1 + s * (1.030373734e-1 + s *
    (-2.180532060e-2 + s * (2.939607888e-3 + s * -1.855740712e-4)))))));
  let erf = select(sign(z) * far, near, s < 1);
  return 0.5 + 0.5 * erf;
}

// The sigmoid that stands for (1 + tanh u) / 2.
fn gelu_gate(x: f32) -> f32 {
  return sigmoid(2 * GELU_SCALE * x * (1 + GELU_CUBIC * x * x));
}

fn activate(x: f32, kind: u32) -> f32 {
  switch kind {
    case 1: { return select(x, 0, x < 0); }
    case 2: { return x * sigmoid(x); }
    case 3: { return x * normal_cdf(x); }
    case 4: { return x * gelu_gate(x); }
    default: { return x; }
  }
}

fn slope(x: f32, kind: u32) -> f32 {
  switch kind {
    case 1: { return select(0.0, 1.0, x > 0); }
    case 2: {
      let s = sigmoid(x);
      return s * (1 + x * (1 - s));
    }
    case 3: { return normal_cdf(x) + x * 0.3989422804014327 * exp(-0.5 * x * x); }
    case 4: {
      let s = gelu_gate(x);
      return s * (1 + x * (1 - s) * 2 * GELU_SCALE * (1 + 3 * GELU_CUBIC * x * x));
    }
    default: { return 1; }
  }
}
`

const forward: Shader = {
  reads: { x: 'f32' },
  writes: { y: 'f32' },
  params: { count: 'u32', kind: 'u32' },
  code: activationFunctions + elementwise('y[i] = activate(x[i], params.kind);'),
}

const gradient: Shader = {
  reads: { dy: 'f32', x: 'f32' },
  writes: { dx: 'f32' },
  params: { count: 'u32', kind: 'u32' },
  code: activationFunctions + elementwise('dx[i] = dy[i] * slope(x[i], params.kind);'),
}

export const activationShaders: Record<string, WebgpuKernel> = {
  /** [x] -> y */
  HeedActivation(device, [x]: [tf.TensorInfo], { kind }: { kind: number }) {
    const y = device.output(x.shape)
    const count = tf.util.sizeFromShape(x.shape)
    device.run(forward, { x, y }, { count, kind }, groupsForElements(count))
    return y
  },

  /** [dy, x] -> dx */
  HeedActivationGradient(device, [dy, x]: [tf.TensorInfo, tf.TensorInfo], { kind }: { kind: number }) {
    const dx = device.output(x.shape)
    const count = tf.util.sizeFromShape(x.shape)
    device.run(gradient, { dy, x, dx }, { count, kind }, groupsForElements(count))
    return dx
  },
}
