import { expect, test } from 'vitest'
import { accuracy, bitsPerByte, f1Score, perplexity } from '../src/metrics.ts'

test('a uniform guess among 256 bytes costs 8 bits a byte and has perplexity 256', () => {
  expect(bitsPerByte(Math.log(256), 1)).toBeCloseTo(8, 12)
  expect(perplexity(Math.log(256))).toBeCloseTo(256, 9)
  expect(bitsPerByte(Math.log(1024), 2.5)).toBeCloseTo(4, 12) // 10 bits a token of 2.5 bytes
})

// Confusion: class 0 has 2 right of 3, class 1 has 1 right of 2, class 2 has 1 right of 1.
const labels = [0, 0, 0, 1, 1, 2]
const predictions = [0, 0, 1, 1, 2, 2]

test('accuracy is the part that is right', () => {
  expect(accuracy(predictions, labels)).toBeCloseTo(4 / 6, 12)
  expect(accuracy([], [])).toBe(0)
})

test('F1 weighs what was predicted against what was there', () => {
  // Precision and recall of class 1 are 1/2 and 1/2; of class 0 they are 1 and 2/3, of class 2 1/2 and 1.
  expect(f1Score(predictions, labels)).toBeCloseTo(0.5, 12)
  expect(f1Score(predictions, labels, 'macro')).toBeCloseTo((0.8 + 0.5 + 2 / 3) / 3, 12)
  expect(f1Score([0, 0], [0, 0])).toBe(0)
})
