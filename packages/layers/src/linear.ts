import {
  type Activation,
  activate,
  checkOptionNames,
  checkShape,
  HeedError,
  linear,
  type QuantizedWeight,
  quantizedLinear,
  tf,
} from '@heed/tensor-backend'
import { checkSizes } from './checks.ts'
import { initialValue, uniform } from './initializers.ts'
import { Module, type Parameter } from './module.ts'

export interface LinearOptions {
  /** True for one of its own, false for none, or a bias [outFeatures] to share. */
  bias?: boolean | Parameter
  /** A weight [outFeatures, inFeatures] to share: an output projection tied to an embedding. */
  weight?: Parameter
}

/**
 * y = x · weightᵀ + bias. Same numbers and keys as `torch.nn.Linear`, and its way to begin: uniform within ±1 / sqrt(inFeatures).
 * Its weight may be put in few bits; then only its input and bias get gradients.
 */
export class Linear extends Module {
  readonly bias: Parameter | undefined // [outFeatures]
  #weight: Parameter | QuantizedWeight
  readonly #ownsWeight: boolean

  /** Throws HEED_ARGUMENT_INVALID, and HEED_SHAPE_MISMATCH if a weight or bias to share is of another shape. */
  constructor(
    readonly inFeatures: number,
    readonly outFeatures: number,
    options: LinearOptions = {},
  ) {
    super()
    checkSizes('Linear', { inFeatures, outFeatures })
    checkOptionNames('Linear', options, ['bias', 'weight'] satisfies (keyof LinearOptions)[])
    const { bias = true, weight } = options
    if (weight) checkShape('Linear', 'weight', weight, [outFeatures, inFeatures])
    if (bias instanceof tf.Variable) checkShape('Linear', 'bias', bias, [outFeatures])
    const initializer = uniform(1 / Math.sqrt(inFeatures))
    this.#ownsWeight = weight === undefined
    this.#weight = this.parameter('weight', weight ?? initialValue([outFeatures, inFeatures], initializer))
    const ownBias = (): tf.Tensor => initialValue([outFeatures], initializer)
    this.bias = bias ? this.parameter('bias', bias === true ? ownBias() : bias) : undefined
  }

  /** [outFeatures, inFeatures]. Throws HEED_DTYPE_UNSUPPORTED when it is in few bits. */
  get weight(): Parameter {
    if (this.#weight instanceof tf.Variable) return this.#weight
    throw weightIsQuantized('Linear', this.#weight)
  }

  get isQuantized(): boolean {
    return !(this.#weight instanceof tf.Variable)
  }

  /** Puts a weight of the same shape in the place of its own, which it frees. */
  quantize(weight: QuantizedWeight): void {
    this.replaceParameter('weight', weight)
    this.#weight = weight
  }

  /** x: [..., inFeatures] -> activation(y) [..., outFeatures], in one kernel. Throws HEED_SHAPE_MISMATCH. */
  forward(x: tf.Tensor, activation: Activation = 'none'): tf.Tensor {
    const weight = this.#weight
    if (weight instanceof tf.Variable) return linear(x, weight, this.bias, activation, 'outIn', this.#ownsWeight)
    return tf.tidy(() => {
      const y = quantizedLinear(x, weight, this.bias)
      return activation === 'none' ? y : activate(y, activation)
    })
  }
}

export function weightIsQuantized(where: string, { type, shape }: QuantizedWeight): HeedError {
  return new HeedError(
    'HEED_DTYPE_UNSUPPORTED',
    `${where}: weight [${shape.join(', ')}] is of type ${type}, expected float32. Load the model with dtype: 'float32'.`,
  )
}
