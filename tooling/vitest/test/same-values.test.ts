import { expect, test } from 'vitest'
import { haveSameValues } from '../same-values.ts'

test('says so of the same bytes and of the same primitive values, and leaves all else to vitest', () => {
  const floats = Float32Array.of(1, Number.NaN, -0)
  for (const [a, b] of [
    [floats, floats.slice()],
    [Buffer.from('abcd').subarray(1, 3), Buffer.from('bc')],
    [
      [1, 'a', true, Number.NaN],
      [1, 'a', true, Number.NaN],
    ],
  ] as const) {
    expect(haveSameValues(a, b)).toBe(true)
  }
  for (const [a, b] of [
    [floats, Float32Array.of(1, Number.NaN, 0)],
    [Buffer.from('ab'), Uint8Array.from(Buffer.from('ab'))],
    [Int32Array.of(1), Uint32Array.of(1)],
    [
      [1, 2],
      [1, 3],
    ],
    [[1], [1, 2]],
    [[0], [-0]],
    [[undefined], new Array(1)],
    [[[1]], [[1]]],
    [Object.assign([1], { index: 0 }), [1]],
    ['a', 'a'],
  ] as const) {
    expect(haveSameValues(a, b)).toBeUndefined()
  }
})

test('arrays that differ are still told apart, and shown', () => {
  expect([1, 2, 3]).not.toEqual([1, 2, 4])
  expect({ a: Float32Array.of(1, 2) }).not.toEqual({ a: Float32Array.of(1, 3) })
  expect({ a: [Float32Array.of(1, 2)] }).toStrictEqual({ a: [Float32Array.of(1, 2)] })
  expect(() => expect(Float32Array.of(1, 2)).toEqual(Float32Array.of(1, 3))).toThrow('expected Float32Array')
})
