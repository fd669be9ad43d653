import type { BackendKernel } from '../backends/kernel-backend.ts'
import { tf } from '../tf.ts'
import { checkArgument, checkFloats } from './checks.ts'
import { differentiable, hasKernel, runKernel } from './fused.ts'

/** Names as in HF's `hidden_act`, in camelCase: `gelu` is the exact erf form, `geluTanh` HF's `gelu_new`. */
export type Activation = 'none' | 'relu' | 'silu' | 'gelu' | 'geluTanh'

/** The numbers of `Activation` in kernels/activation.h. */
export const activationKinds: Readonly<Record<Activation, number>> = { none: 0, relu: 1, silu: 2, gelu: 3, geluTanh: 4 }

/** The number of an activation. Throws HEED_ARGUMENT_INVALID for a name that is none. */
export function activationKind(op: string, activation: Activation): number {
  const kind: number | undefined = activationKinds[activation]
  const names = () => Object.keys(activationKinds).join(', ')
  if (kind === undefined) checkArgument(op, 'activation', activation, false, `one of ${names()}`, 'Name one of these.')
  return kind
}

/** An activation by name, element-wise. x: any shape -> same shape. Throws HEED_DTYPE_UNSUPPORTED, HEED_ARGUMENT_INVALID. */
export function activate(x: tf.Tensor, activation: Activation): tf.Tensor {
  const kind = activationKind('activate', activation)
  checkFloats(activation, { x })
  if (activation === 'none') return x.clone()
  if (!hasKernel('HeedActivation')) return composedActivation(x, activation)
  const attributes = { kind }
  return differentiable(
    [x],
    save => {
      save([x])
      return runKernel('HeedActivation', [x], attributes)[0]!
    },
    (dy, saved) => [() => runKernel('HeedActivationGradient', [dy, ...saved], attributes)[0]!],
  )
}

/** `activate` from tfjs's own ops. */
export function composedActivation(x: tf.Tensor, activation: Activation): tf.Tensor {
  switch (activation) {
    case 'none':
      return x.clone()
    case 'relu':
      return tf.relu(x)
    case 'silu':
      return tf.tidy(() => tf.mul(x, tf.sigmoid(x)))
    case 'gelu':
      return tf.tidy(() => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1)))
    case 'geluTanh':
      return tf.tidy(() => {
        const inner = tf.mul(tf.add(x, tf.mul(tf.mul(tf.square(x), x), 0.044715)), Math.sqrt(2 / Math.PI))
        return tf.mul(tf.mul(x, 0.5), tf.add(tf.tanh(inner), 1))
      })
  }
}

/** silu(x) = x · sigmoid(x). Any shape. Elfwing et al. 2017 (arXiv:1702.03118). */
export function silu(x: tf.Tensor): tf.Tensor {
  return activate(x, 'silu')
}

/** gelu(x) = x · Φ(x), exact or by its tanh approximation. Any shape. Hendrycks & Gimpel 2016 (arXiv:1606.08415). */
export function gelu(x: tf.Tensor, approximate: 'none' | 'tanh' = 'none'): tf.Tensor {
  return activate(x, approximate === 'tanh' ? 'geluTanh' : 'gelu')
}

export const activationKernels: Record<string, BackendKernel> = {
  /** [x] -> y */
  HeedActivation(backend, [x]: [tf.TensorInfo], { kind }: { kind: number }) {
    const { address, library } = backend
    const y = backend.output(x.shape)
    library.kernels.activation(address(x), address(y), tf.util.sizeFromShape(x.shape), kind)
    return y
  },

  /** [dy, x] -> dx */
  HeedActivationGradient(backend, [dy, x]: [tf.TensorInfo, tf.TensorInfo], { kind }: { kind: number }) {
    const { address, library } = backend
    const dx = backend.output(x.shape)
    library.kernels.activationGradient(address(dy), address(x), address(dx), tf.util.sizeFromShape(x.shape), kind)
    return dx
  },
}
