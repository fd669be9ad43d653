import { type BackendName, init, tf } from '@heed/tensor-backend'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { whyNoWebgpu } from './webgpu-here.ts'

const readAtOnce = ['native', 'wasm', 'cpu'] as const

/** The same tests on every backend of this machine; `cpu` runs the composed forms. They read tensors asynchronously. */
export function onEachBackend(suite: (backend: BackendName) => void): void {
  onBackends([...readAtOnce, 'webgpu'], suite)
}

/** The same on those whose tensors can be read at once, by `dataSync`. */
export function onEachBackendThatReadsAtOnce(suite: (backend: BackendName) => void): void {
  onBackends(readAtOnce, suite)
}

function onBackends(backends: readonly BackendName[], suite: (backend: BackendName) => void): void {
  for (const backend of backends) {
    const reason = backend === 'webgpu' ? whyNoWebgpu : undefined
    if (reason) {
      test.skip(`on ${backend}: ${reason}`, () => {})
      continue
    }
    // A driver that is a program compiles a shader in seconds.
    describe(`on ${backend}`, { timeout: 300_000 }, () => {
      beforeAll(async () => {
        await init({ backend })
      })
      suite(backend)
    })
  }
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

/** The values of the tensors that `compute` makes; they and all others made on the way are disposed of. */
export async function valuesOf(compute: () => tf.Tensor[]): Promise<Float32Array[]> {
  // Clones, so that a tensor of the caller among them is not disposed of.
  const tensors = tf.tidy(() => compute().map(tensor => tensor.clone()))
  try {
    return await Promise.all(tensors.map(tensor => tensor.data<'float32'>()))
  } finally {
    tf.dispose(tensors)
  }
}

/** f(inputs), then Σ f · noise differentiated by each input. */
async function valueAndGradients(
  f: (...inputs: tf.Tensor[]) => tf.Tensor,
  inputs: () => tf.Tensor[],
): Promise<{ value: Float32Array; gradients: Float32Array[] }> {
  const [value, ...gradients] = await valuesOf(() => {
    const at = inputs()
    const y = f(...at)
    return [y, ...tf.grads((...xs: tf.Tensor[]) => f(...xs))(at, noiseTensor(y.shape, 99))]
  })
  return { value: value!, gradients }
}

/** The same of another function on stock tfjs, the second oracle. */
export async function onCpu<T>(compute: () => T | Promise<T>): Promise<T> {
  const backend = tf.getBackend()
  await tf.setBackend('cpu')
  try {
    return await compute()
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
  const actual = await valueAndGradients(fused, inputs)
  const expected = await onCpu(() => valueAndGradients(composed, inputs))
  expect(actual.value).toBeAllclose(expected.value, tolerance)
  for (const [i, gradient] of expected.gradients.entries())
    expect(actual.gradients[i]).toBeAllclose(gradient, tolerance)
}

/**
 * Gradients agree with central differences of the scalar Σ f · upstream along a random direction. The step is large
 * because sums are kept in float32: `tolerance` covers its error.
 */
export async function expectGradientsByDifferences(
  f: (...inputs: tf.Tensor[]) => tf.Tensor,
  shapes: number[][],
  { step = 1e-2, tolerance = 2e-2 }: { step?: number; tolerance?: number } = {},
): Promise<void> {
  const inputs = (): tf.Tensor[] => shapes.map((shape, i) => noiseTensor(shape, i))
  const { gradients } = await valueAndGradients(f, inputs)
  for (const [i, shape] of shapes.entries()) {
    const direction = noise(tf.util.sizeFromShape(shape), 7 + i)
    const along = async (t: number): Promise<number> => {
      const [value] = await valuesOf(() => {
        const at = inputs()
        at[i] = tf.add(at[i]!, tf.mul(tf.tensor(direction, shape), t))
        return [f(...at)]
      })
      const dy = noise(value!.length, 99)
      return value!.reduce((total, each, at) => total + each * dy[at]!, 0)
    }
    const difference = ((await along(step)) - (await along(-step))) / (2 * step)
    const product = gradients[i]!.reduce((total, each, at) => total + each * direction[at]!, 0)
    expect(Math.abs(difference - product)).toBeLessThan(tolerance * (1 + Math.abs(product)))
  }
}
