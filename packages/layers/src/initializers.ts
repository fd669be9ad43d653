import { HeedError, lazyZeros, tf } from '@heed/tensor-backend'
import type { Module, Parameter } from './module.ts'
import { Random } from './random.ts'

/** Makes the first values of a parameter. A matrix is [outFeatures, inFeatures]. */
export type Initializer = (shape: number[], random: Random) => tf.Tensor

function filled(shape: number[], draw: () => number): tf.Tensor {
  const values = new Float32Array(tf.util.sizeFromShape(shape))
  for (let i = 0; i < values.length; i++) values[i] = draw()
  return tf.tensor(values, shape)
}

/** Normal around 0. */
export function normal(std: number): Initializer {
  return (shape, random) => filled(shape, () => std * random.normal())
}

/** Uniform from -bound to bound. */
export function uniform(bound: number): Initializer {
  return (shape, random) => filled(shape, () => bound * (2 * random.uniform() - 1))
}

/** Uniform within ±gain · sqrt(6 / (fanIn + fanOut)), for matrices. Glorot & Bengio 2010, eq. 16. Throws HEED_SHAPE_MISMATCH. */
export function xavierUniform(gain = 1): Initializer {
  return (shape, random) => uniform(gain * Math.sqrt(6 / fans('xavierUniform', shape)))(shape, random)
}

/** Normal with std gain · sqrt(2 / (fanIn + fanOut)), for matrices. Glorot & Bengio 2010. Throws HEED_SHAPE_MISMATCH. */
export function xavierNormal(gain = 1): Initializer {
  return (shape, random) => normal(gain * Math.sqrt(2 / fans('xavierNormal', shape)))(shape, random)
}

/** fanIn + fanOut. */
function fans(where: string, shape: readonly number[]): number {
  const [rows, cols, ...others] = shape
  if (rows !== undefined && cols !== undefined && others.length === 0) return rows + cols
  throw new HeedError(
    'HEED_SHAPE_MISMATCH',
    `${where}: the parameter has shape [${shape.join(', ')}], expected a matrix. Give vectors another initializer, such as zeros.`,
  )
}

export const zeros: Initializer = shape => tf.zeros(shape)
export const ones: Initializer = shape => tf.ones(shape)

let layerRandom = new Random(0)
let isSkipped = false

/** Seeds the values that layers made from now on begin with, as `torch.manual_seed`. Until then the seed is 0. */
export function manualSeed(seed: number): void {
  layerRandom = new Random(seed)
}

/** A seed for a layer that draws on its own, from the sequence that `manualSeed` begins. */
export function layerSeed(): number {
  return layerRandom.uint32()
}

/** Makes a module whose parameters are all 0, which costs no drawing: for one that a checkpoint fills next. */
export function skipInitialization<T>(make: () => T): T {
  const before = isSkipped
  isSkipped = true
  try {
    return make()
  } finally {
    isSkipped = before
  }
}

/** The first values of a layer's own parameter: drawn by `initializer`, or 0 within `skipInitialization`. */
export function initialValue(shape: number[], initializer: Initializer): tf.Tensor {
  return isSkipped ? lazyZeros(shape) : initializer(shape, layerRandom)
}

/**
 * Draws all parameters of a module anew, each by the initializer that `rule` gives for its key (none: it stays).
 * Same seed, same values. Does nothing within `skipInitialization`.
 */
export function initializeParameters(
  module: Module,
  seed: number,
  rule: (key: string, parameter: Parameter) => Initializer | undefined,
): void {
  if (isSkipped) return
  const random = new Random(seed)
  for (const [key, parameter] of module.namedParameters()) {
    const value = rule(key, parameter)?.(parameter.shape, random)
    if (!value) continue
    parameter.assign(value)
    value.dispose()
  }
}
