import { init, tf } from '@heed/tensor-backend'
import { beforeAll, beforeEach, describe, expect } from 'vitest'

/** The same tests on every backend of this machine; `cpu` runs the composed forms. */
export function onEachBackend(suite: (backend: 'native' | 'wasm' | 'cpu') => void): void {
  describe.each(['native', 'wasm', 'cpu'] as const)('on %s', backend => {
    beforeAll(async () => {
      await init({ backend })
    })
    suite(backend)
  })
}

/** Every test leaves as many tensors as it found. */
export function expectNoLeak(): void {
  let before = 0
  beforeEach(() => {
    before = tf.memory().numTensors
    return () => expect(tf.memory().numTensors).toBe(before)
  })
}

/** Numbers from -1 to 1 that look random, the same on every run. */
export function noise(size: number, seed: number): Float32Array {
  return Float32Array.from({ length: size }, (_, i) => {
    let h = Math.imul(i + 1, 0x9e3779b9) ^ Math.imul(seed + 1, 0x85ebca6b)
    h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d)
    h = Math.imul(h ^ (h >>> 12), 0x297a2d39)
    return ((h ^ (h >>> 15)) >>> 0) / 2 ** 31 - 1
  })
}

export function noiseTensor(shape: number[], seed: number): tf.Tensor {
  return tf.tensor(noise(tf.util.sizeFromShape(shape), seed), shape)
}

/** What `compute` returns, which is no tensor, with every tensor it made disposed of. */
export function tidied<T>(compute: () => T): T {
  let result: { value: T } | undefined
  tf.tidy(() => {
    result = { value: compute() }
  })
  return result!.value
}

export interface ValueAndGradients {
  value: Float32Array
  gradients: Float32Array[]
}

/** f(inputs), and Σ f · upstream differentiated by each input; upstream is `noise` unless given. */
export function valueAndGradients(
  f: (...inputs: tf.Tensor[]) => tf.Tensor,
  inputs: tf.Tensor[],
  upstream?: tf.Tensor,
): ValueAndGradients {
  return tidied(() => {
    const value = f(...inputs)
    const dy = upstream ?? noiseTensor(value.shape, 99)
    const gradients = tf.grads((...xs: tf.Tensor[]) => f(...xs))(inputs, dy)
    return { value: value.dataSync<'float32'>(), gradients: gradients.map(x => x.dataSync<'float32'>()) }
  })
}

/** The same of another function on stock tfjs, the second oracle. */
export async function onCpu<T>(compute: () => T): Promise<T> {
  const backend = tf.getBackend()
  await tf.setBackend('cpu')
  try {
    return compute()
  } finally {
    await tf.setBackend(backend)
  }
}

/** Values and gradients of `fused` are those of `composed` on stock tfjs. */
export async function expectSameAsComposed(
  fused: (...inputs: tf.Tensor[]) => tf.Tensor,
  composed: (...inputs: tf.Tensor[]) => tf.Tensor,
  shapes: number[][],
  tolerance: { atol: number; rtol: number } = { atol: 2e-5, rtol: 2e-5 },
): Promise<void> {
  const inputs = (): tf.Tensor[] => shapes.map((shape, i) => noiseTensor(shape, i))
  const actual = tidied(() => valueAndGradients(fused, inputs()))
  const expected = await onCpu(() => tidied(() => valueAndGradients(composed, inputs())))
  expect(actual.value).toBeAllclose(expected.value, tolerance)
  for (const [i, gradient] of expected.gradients.entries())
    expect(actual.gradients[i]).toBeAllclose(gradient, tolerance)
}

/**
 * Gradients agree with central differences of the scalar Σ f · upstream along a random direction. The step is large
 * because sums are kept in float32: `tolerance` covers its error.
 */
export function expectGradientsByDifferences(
  f: (...inputs: tf.Tensor[]) => tf.Tensor,
  inputs: tf.Tensor[],
  { step = 1e-2, tolerance = 2e-2 }: { step?: number; tolerance?: number } = {},
): void {
  const { gradients } = valueAndGradients(f, inputs)
  for (const [i, input] of inputs.entries()) {
    const direction = noise(input.size, 7 + i)
    const along = (t: number): number =>
      tidied(() => {
        const moved = tf.add(input, tf.mul(tf.tensor(direction, input.shape), t))
        const value = f(...inputs.map((x, j) => (j === i ? moved : x)))
        const dy = noise(value.size, 99)
        return value.dataSync<'float32'>().reduce((total, each, at) => total + each * dy[at]!, 0)
      })
    const difference = (along(step) - along(-step)) / (2 * step)
    const product = gradients[i]!.reduce((total, each, at) => total + each * direction[at]!, 0)
    expect(Math.abs(difference - product)).toBeLessThan(tolerance * (1 + Math.abs(product)))
  }
}
