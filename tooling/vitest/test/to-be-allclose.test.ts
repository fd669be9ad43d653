import { expect, test } from 'vitest'
import { toBeAllclose } from '../to-be-allclose.ts'

test('values within the tolerance pass', () => {
  expect(toBeAllclose([1, 2.00001], [1, 2]).pass).toBe(true)
})

test('a value outside the tolerance fails, and the message names the worst element', () => {
  const result = toBeAllclose([1, 2.1, 5], [1, 2, 3])
  expect(result.pass).toBe(false)
  expect(result.message()).toBe('element 2 is 5, expected 3 within atol 0.00001, rtol 0.00001')
})

test('NaN and arrays of another length fail', () => {
  expect(toBeAllclose([Number.NaN], [0]).pass).toBe(false)
  expect(toBeAllclose([1], [1, 2]).message()).toBe('length is 1, expected 2')
})
