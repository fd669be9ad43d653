import { init, tf } from '@heed/tensor-backend'
import fc from 'fast-check'
import { beforeAll, describe, expect } from 'vitest'

/** Values as plain data, so that they can be put on any backend. */
export interface Plain {
  values: number[]
  shape: number[]
  dtype: 'float32' | 'int32' | 'bool'
}

const backends = ['native', 'wasm'] as const

/** The suite on native and wasm; a backend that cannot run here is skipped, with its reason in the title. */
export async function onKernelBackends(suite: () => void): Promise<void> {
  for (const backend of backends) {
    const reason = await init({ backend }).then(
      () => '',
      (error: Error) => error.message,
    )
    describe.skipIf(reason)(reason ? `on ${backend}, skipped: ${reason}` : `on ${backend}`, () => {
      beforeAll(async () => {
        await init({ backend })
      })
      suite()
    })
  }
}

/** What `compute` gives on tensors of these values, and that no other tensor is left. */
function run(inputs: Plain[], compute: (...tensors: tf.Tensor[]) => tf.Tensor | tf.Tensor[]): Plain[] {
  const before = tf.memory().numTensors
  const tensors = inputs.map(({ values, shape, dtype }) => tf.tensor(values, shape, dtype))
  const results = [tf.tidy(() => compute(...tensors))].flat()
  const plain = results.map(result => ({
    values: Array.from(result.dataSync()),
    shape: result.shape,
    dtype: result.dtype as Plain['dtype'],
  }))
  tf.dispose([...results, ...tensors])
  expect(tf.memory().numTensors).toBe(before)
  return plain
}

/** Compares with tfjs's own cpu backend, NaN and infinities included. */
export function expectSameAsCpu(
  inputs: Plain[],
  compute: (...tensors: tf.Tensor[]) => tf.Tensor | tf.Tensor[],
  tolerance = 1e-5,
): void {
  const backend = tf.getBackend()
  const ours = run(inputs, compute)
  tf.setBackend('cpu')
  let theirs: Plain[]
  try {
    theirs = run(inputs, compute)
  } finally {
    tf.setBackend(backend)
  }
  expect(ours.map(({ shape, dtype }) => ({ shape, dtype }))).toEqual(
    theirs.map(({ shape, dtype }) => ({ shape, dtype })),
  )
  for (const [i, { values }] of ours.entries()) {
    for (const [at, value] of values.entries()) {
      const expected = theirs[i]!.values[at]!
      if (Object.is(value, expected) || value === expected) continue
      const error = Math.abs(value - expected)
      if (!(error <= tolerance * Math.max(1, Math.abs(expected)))) {
        expect.fail(`result ${i}, element ${at} is ${value}, on cpu ${expected}; inputs ${JSON.stringify(inputs)}`)
      }
    }
  }
}

const special = fc.constantFrom(
  0,
  -0,
  1,
  -1,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  1e-30,
  3e38,
)
const ordinary = fc.double({ min: -4, max: 4, noNaN: true }).map(Math.fround)

/** Mostly ordinary floats; `withSpecial` adds NaN, infinities and extremes. */
export function floats(size: number, withSpecial = true): fc.Arbitrary<number[]> {
  const value = withSpecial ? fc.oneof({ arbitrary: ordinary, weight: 9 }, { arbitrary: special, weight: 1 }) : ordinary
  return fc.array(value, { minLength: size, maxLength: size })
}

export function values(shape: number[], dtype: Plain['dtype'], withSpecial = true): fc.Arbitrary<Plain> {
  const size = shape.reduce((product, length) => product * length, 1)
  const data =
    dtype === 'float32'
      ? floats(size, withSpecial)
      : fc.array(fc.integer(dtype === 'bool' ? { min: 0, max: 1 } : { min: -9, max: 9 }), {
          minLength: size,
          maxLength: size,
        })
  return data.map(array => ({ values: array, shape, dtype }))
}

/** Shapes of up to four axes, sizes 0 to 7 or long enough for whole vectors. */
export const shapes = (minRank = 0, maxRank = 4, minSize = 0): fc.Arbitrary<number[]> =>
  fc.array(fc.oneof({ arbitrary: fc.integer({ min: minSize, max: 7 }), weight: 5 }, fc.constantFrom(16, 33)), {
    minLength: minRank,
    maxLength: maxRank,
  })
