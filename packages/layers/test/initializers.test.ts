import {
  initializeParameters,
  Linear,
  manualSeed,
  normal,
  Random,
  uniform,
  xavierNormal,
  xavierUniform,
  zeros,
} from '@heed/layers'
import { tf } from '@heed/tensor-backend'
import { beforeAll, expect, test } from 'vitest'
import { oracle } from './oracle.ts'

beforeAll(() => tf.setBackend('cpu'))

function moments(values: ArrayLike<number>): { mean: number; std: number; highest: number } {
  const list = Array.from(values)
  const mean = list.reduce((sum, x) => sum + x, 0) / list.length
  const variance = list.reduce((sum, x) => sum + (x - mean) ** 2, 0) / list.length
  return { mean, std: Math.sqrt(variance), highest: Math.max(...list.map(Math.abs)) }
}

test('Random gives the numbers of xoshiro128**', () => {
  const random = new Random(42)
  expect(Array.from({ length: 8 }, () => random.uint32())).toEqual(oracle.random)
})

test('Random goes on from a saved state', () => {
  const random = new Random(7)
  random.uint32()
  const state = random.save()
  const next = [random.normal(), random.uniform()]
  const other = new Random(0)
  other.restore(state)
  expect([other.normal(), other.uniform()]).toEqual(next)
})

test.each([
  ['normal', normal(0.5), 0.5, Number.POSITIVE_INFINITY],
  ['uniform', uniform(3), 3 / Math.sqrt(3), 3],
  ['xavierUniform', xavierUniform(2), 2 * Math.sqrt(2 / 300), 2 * Math.sqrt(6 / 300)],
  ['xavierNormal', xavierNormal(), Math.sqrt(2 / 300), Number.POSITIVE_INFINITY],
])('%s has the spread of its formula', (_name, initializer, std, bound) => {
  const value = initializer([100, 200], new Random(3))
  const { mean, std: found, highest } = moments(value.dataSync())
  // 20,000 draws: the error of the mean is std / 141, and that of the std less
  expect(Math.abs(mean)).toBeLessThan((4 * std) / 141)
  expect(Math.abs(found / std - 1)).toBeLessThan(0.03)
  expect(highest).toBeLessThanOrEqual(bound)
  value.dispose()
})

test('initializeParameters draws by key, the same values for the same seed', () => {
  const layer = new Linear(3, 2)
  const draw = (seed: number): Float32Array => {
    initializeParameters(layer, seed, key => (key === 'bias' ? zeros : normal(1)))
    return layer.weight.dataSync<'float32'>()
  }
  const first = draw(5)
  expect(layer.bias!.dataSync()).toEqual(new Float32Array(2))
  expect(draw(6)).not.toEqual(first)
  expect(draw(5)).toEqual(first)
  layer.dispose()
})

test('manualSeed repeats the weights of layers made after it', () => {
  const weightsOf = (seed: number): Float32Array => {
    manualSeed(seed)
    const layer = new Linear(3, 2)
    const values = layer.weight.dataSync<'float32'>()
    layer.dispose()
    return values
  }
  expect(weightsOf(1)).toEqual(weightsOf(1))
  expect(weightsOf(1)).not.toEqual(weightsOf(2))
})
