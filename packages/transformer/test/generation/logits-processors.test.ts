import { readFileSync } from 'node:fs'
import { Random } from '@heed/layers'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  encoderNoRepeatNgramProcessor,
  encoderRepetitionPenaltyProcessor,
  exponentialDecayLengthPenalty,
  forcedTokenProcessor,
  frequencyPenaltyProcessor,
  type LogitsProcessor,
  logitNormalization,
  minLengthProcessor,
  noBadWordsProcessor,
  noRepeatNgramProcessor,
  prefixConstrainedProcessor,
  removeInvalidValuesProcessor,
  repetitionPenaltyProcessor,
  sequenceBiasProcessor,
  suppressTokensProcessor,
} from '../../src/generation/logits-processors.ts'
import {
  argmax,
  epsilonWarper,
  etaWarper,
  minPWarper,
  sample,
  softmax,
  temperatureWarper,
  topKWarper,
  topPWarper,
  typicalWarper,
} from '../../src/generation/sampling.ts'

interface Oracle {
  ids: number[]
  scores: number[][]
  cases: Record<string, { arguments: never[]; scores: (number | null)[][] }>
}

const oracle: Oracle = JSON.parse(readFileSync(new URL('../fixtures/logits-processors.json', import.meta.url), 'utf8'))

const makers: Record<string, (...args: never[]) => LogitsProcessor> = {
  repetitionPenalty: repetitionPenaltyProcessor,
  noRepeatNgram: noRepeatNgramProcessor,
  noRepeatUnigram: noRepeatNgramProcessor,
  noBadWords: noBadWordsProcessor,
  minLength: minLengthProcessor,
  minLengthReached: minLengthProcessor,
  forcedToken: forcedTokenProcessor,
  suppressTokens: suppressTokensProcessor,
  suppressTokensAtBegin: suppressTokensProcessor,
  temperature: temperatureWarper,
  topK: topKWarper,
  topKAll: topKWarper,
  topP: topPWarper,
  topPNarrow: topPWarper,
  minP: minPWarper,
  minPKeepsThree: minPWarper,
  typical: typicalWarper,
  epsilon: epsilonWarper,
  epsilonKeepsThree: epsilonWarper,
  eta: etaWarper,
  sequenceBias: sequenceBiasProcessor,
  encoderRepetitionPenalty: encoderRepetitionPenaltyProcessor,
  encoderNoRepeatNgram: encoderNoRepeatNgramProcessor,
  exponentialDecay: exponentialDecayLengthPenalty,
  prefixConstrained: (allowed: number[]) => prefixConstrainedProcessor(() => allowed),
  logitNormalization: () => logitNormalization,
}

test.each(Object.entries(oracle.cases))('%s gives the scores of transformers', (name, expected) => {
  const process = makers[name]!(...expected.arguments)
  for (const [i, row] of oracle.scores.entries()) {
    const scores = Float32Array.from(row)
    process(scores, oracle.ids, 0)
    expect(scores).toBeAllclose(expected.scores[i]!.map(score => score ?? Number.NEGATIVE_INFINITY))
  }
})

test('presence and frequency penalties count generated tokens and not the prompt', () => {
  const scores = new Float32Array(4)
  frequencyPenaltyProcessor(0.5, 0.25, 2)(scores, [0, 1, 2, 2, 3], 0)
  expect([...scores]).toEqual([0, 0, -1, -0.75])
})

test('invalid values become numbers, as torch.finfo has them', () => {
  const scores = Float32Array.of(Number.NaN, 1, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY)
  removeInvalidValuesProcessor(scores, [], 0)
  expect([...scores]).toEqual([0, 1, 3.4028234663852886e38, -3.4028234663852886e38])
})

const rows = fc.array(fc.double({ min: -8, max: 8, noNaN: true }), { minLength: 1, maxLength: 40 })

describe('topK', () => {
  test('keeps what sorting would keep', () => {
    fc.assert(
      fc.property(rows, fc.integer({ min: 1, max: 45 }), (row, k) => {
        const scores = Float32Array.from(row)
        const lowest = scores.toSorted().at(-Math.min(k, row.length))!
        const expected = scores.map(score => (score >= lowest ? score : Number.NEGATIVE_INFINITY))
        topKWarper(k)(scores, [], 0)
        expect(scores).toEqual(expected)
      }),
    )
  })
})

describe('topP', () => {
  test('keeps the fewest likeliest tokens that hold at least p', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: -40, max: 40 }), { minLength: 1, maxLength: 30 }),
        fc.double({ min: 0.01, max: 0.99, noNaN: true }),
        (row, p) => {
          const scores = Float32Array.from(row, value => value / 5)
          const before = softmax(scores)
          topPWarper(p)(scores, [], 0)
          const kept = [...before.keys()].filter(id => scores[id] !== Number.NEGATIVE_INFINITY)
          const mass = kept.reduce((sum, id) => sum + before[id]!, 0)
          const least = Math.min(...kept.map(id => before[id]!))
          expect(mass).toBeGreaterThanOrEqual(p - 1e-9)
          if (kept.length > 1) expect(mass - least).toBeLessThan(p + 1e-9)
          for (const id of before.keys()) if (before[id]! > least) expect(kept).toContain(id)
        },
      ),
    )
  })
})

describe('sample', () => {
  test('draws each id as often as its probability says, and never a forbidden one', () => {
    const scores = Float32Array.of(Number.NEGATIVE_INFINITY, Math.log(1), Math.log(3), Number.NEGATIVE_INFINITY)
    const random = new Random(1)
    const counts = [0, 0, 0, 0]
    for (let i = 0; i < 8000; i++) counts[sample(scores, random)]! += 1
    expect(counts[0]! + counts[3]!).toBe(0)
    expect(Math.abs(counts[2]! / 8000 - 0.75)).toBeLessThan(0.02)
  })
})

test('argmax takes the first of equals', () => {
  expect(argmax(Float32Array.of(1, 5, 5, 2))).toBe(1)
})
