import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type BleuScore, bleu } from '../src/bleu.ts'
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
  expect(() => accuracy([1, 2], [1])).toThrow(
    'accuracy: there are 2 predictions, expected 1, as many as labels. Give one for each label.',
  )
})

test('F1 weighs what was predicted against what was there', () => {
  // Precision and recall of class 1 are 1/2 and 1/2; of class 0 they are 1 and 2/3, of class 2 1/2 and 1.
  expect(f1Score([1, 1, 0, 0], [1, 0, 1, 0])).toBeCloseTo(0.5, 12)
  expect(f1Score(predictions, labels, 'macro')).toBeCloseTo((0.8 + 0.5 + 2 / 3) / 3, 12)
  expect(f1Score([0, 0], [0, 0])).toBe(0)
  expect(() => f1Score(predictions, labels)).toThrow(
    'f1Score: a class is 2, expected 0 and 1 only for "binary". Choose "macro".',
  )
  expect(() => f1Score([1], [1], 'micro' as 'macro')).toThrow(
    'f1Score: average is "micro", expected one of binary, macro.',
  )
})

describe('BLEU is the number that sacrebleu gives', () => {
  interface Case extends BleuScore {
    name: string
    translations: string[]
    references: string[][]
  }
  const cases = JSON.parse(readFileSync(join(import.meta.dirname, 'fixtures', 'bleu.json'), 'utf8')) as Case[]

  for (const { name, translations, references, ...expected } of cases) {
    test(`of ${name}`, () => {
      const { precisions, ...rest } = bleu(translations, references)
      expect(rest.systemLength).toBe(expected.systemLength)
      expect(rest.referenceLength).toBe(expected.referenceLength)
      expect(rest.brevityPenalty).toBeCloseTo(expected.brevityPenalty, 12)
      expect(precisions).toBeAllclose(expected.precisions, { atol: 1e-10 })
      expect(rest.score).toBeCloseTo(expected.score, 10)
    })
  }

  test('and needs a reference for each line', () => {
    expect(() => bleu(['a', 'b'], [['a']])).toThrow(
      'bleu: references have 1 lines, expected 2 as the translations. Give a reference for each.',
    )
    expect(() => bleu([], [[]])).toThrow(
      'bleu: references have 0 lines, expected at least 1 as the translations. Give a reference for each.',
    )
    expect(() => bleu(['a'], [])).toThrow(
      'bleu: references have no corpus lines, expected 1 as the translations. Give a reference for each.',
    )
  })
})
