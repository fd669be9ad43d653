import { elementwise, groupsForElements, type Shader, type WebgpuKernel } from '../../backends/webgpu-device.ts'
import { tf } from '../../tf.ts'

/** Scales gradients so that `norm`, if there is one, is at most params.max_norm. */
const clip = `
fn clip_scale() -> f32 {
  if (params.clips == 0) { return 1; }
  return min(1, params.max_norm / (norm[0] + 1e-6));
}
`

const shared = { count: 'u32', clips: 'u32', max_norm: 'f32', learning_rate: 'f32', decay: 'f32' } as const

/** Loshchilov & Hutter 2017 (arXiv:1711.05101), algorithm 2. */
const adamW: Shader = {
  reads: { gradient: 'f32', norm: 'f32' },
  writes: { value: 'f32', mean: 'f32', mean_square: 'f32' },
  params: { ...shared, beta1: 'f32', rest1: 'f32', beta2: 'f32', rest2: 'f32', eps: 'f32', rate: 'f32', root: 'f32' },
  code: `${clip}
${elementwise(`
    let g = gradient[i] * clip_scale();
    let m = mean[i] * params.beta1 + g * params.rest1;
    let s = mean_square[i] * params.beta2 + g * g * params.rest2;
    mean[i] = m;
    mean_square[i] = s;
    value[i] = value[i] * (1 - params.learning_rate * params.decay) - m * params.rate / (sqrt(s) * params.root + params.eps);
`)}`,
}

/** Chen et al. 2023 (arXiv:2302.06675), algorithm 2. */
const lion: Shader = {
  reads: { gradient: 'f32', norm: 'f32' },
  writes: { value: 'f32', mean: 'f32' },
  params: { ...shared, beta1: 'f32', rest1: 'f32', beta2: 'f32', rest2: 'f32' },
  code: `${clip}
${elementwise(`
    let g = gradient[i] * clip_scale();
    let m = mean[i];
    let direction = sign(m * params.beta1 + g * params.rest1);
    mean[i] = m * params.beta2 + g * params.rest2;
    value[i] = value[i] * (1 - params.learning_rate * params.decay) - direction * params.learning_rate;
`)}`,
}

/** v = momentum · v + g, as `torch.optim.SGD`; the first velocity is zeros. */
const sgd: Shader = {
  reads: { gradient: 'f32', norm: 'f32' },
  writes: { value: 'f32', velocity: 'f32' },
  params: { ...shared, momentum: 'f32', has_momentum: 'u32', is_nesterov: 'u32' },
  code: `${clip}
${elementwise(`
    var update = gradient[i] * clip_scale() + value[i] * params.decay;
    if (params.has_momentum != 0) {
      let v = velocity[i] * params.momentum + update;
      velocity[i] = v;
      update = select(v, update + v * params.momentum, params.is_nesterov != 0);
    }
    value[i] -= update * params.learning_rate;
`)}`,
}

interface StepAttributes {
  learningRate: number
  weightDecay: number
  /** The limit of the norm, when the last input is one. */
  maxNorm?: number
}

function stepParams(value: tf.TensorInfo, { learningRate, weightDecay, maxNorm }: StepAttributes) {
  const count = tf.util.sizeFromShape(value.shape)
  return {
    count,
    clips: maxNorm === undefined ? 0 : 1,
    max_norm: maxNorm ?? 0,
    learning_rate: learningRate,
    decay: weightDecay,
  }
}

interface AdamWAttributes extends StepAttributes {
  beta1: number
  beta2: number
  eps: number
  step: number
}

interface SgdAttributes extends StepAttributes {
  momentum: number
  isNesterov: boolean
}

/** Steps of the optimizers on one parameter, in place: the values of the variables are their own. */
export const optimizerShaders: Record<string, WebgpuKernel> = {
  /** [value, mean, meanSquare, gradient, norm?] -> [] */
  HeedAdamW(device, inputs: tf.TensorInfo[], attributes: AdamWAttributes) {
    const [value, mean, mean_square, gradient, norm] = inputs as [
      tf.TensorInfo,
      tf.TensorInfo,
      tf.TensorInfo,
      tf.TensorInfo,
      tf.TensorInfo?,
    ]
    const { learningRate, beta1, beta2, eps, step } = attributes
    const params = stepParams(value, attributes)
    const rate = learningRate / (1 - beta1 ** step)
    const root = 1 / Math.sqrt(1 - beta2 ** step)
    device.run(
      adamW,
      { value, gradient, mean, mean_square, norm: norm ?? gradient },
      { ...params, beta1, rest1: 1 - beta1, beta2, rest2: 1 - beta2, eps, rate, root },
      groupsForElements(params.count),
    )
    return []
  },

  /** [value, mean, gradient, norm?] -> [] */
  HeedLion(device, inputs: tf.TensorInfo[], attributes: StepAttributes & { beta1: number; beta2: number }) {
    const [value, mean, gradient, norm] = inputs as [tf.TensorInfo, tf.TensorInfo, tf.TensorInfo, tf.TensorInfo?]
    const { beta1, beta2 } = attributes
    const params = stepParams(value, attributes)
    device.run(
      lion,
      { value, gradient, mean, norm: norm ?? gradient },
      { ...params, beta1, rest1: 1 - beta1, beta2, rest2: 1 - beta2 },
      groupsForElements(params.count),
    )
    return []
  },

  /** [value, velocity, gradient, norm?] with momentum, [value, gradient, norm?] without -> [] */
  HeedSgd(device, inputs: tf.TensorInfo[], attributes: SgdAttributes) {
    const { momentum, isNesterov } = attributes
    const [value, ...others] = inputs as [tf.TensorInfo, ...tf.TensorInfo[]]
    const velocity = momentum === 0 ? device.output([1]) : others.shift()!
    const [gradient, norm] = others as [tf.TensorInfo, tf.TensorInfo?]
    const params = stepParams(value, attributes)
    device.run(
      sgd,
      { value, gradient, velocity, norm: norm ?? gradient },
      { ...params, momentum, has_momentum: momentum === 0 ? 0 : 1, is_nesterov: isNesterov ? 1 : 0 },
      groupsForElements(params.count),
    )
    if (momentum === 0) device.release(velocity)
    return []
  },
}
