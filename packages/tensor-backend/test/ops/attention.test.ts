import { type AttentionOptions, attention, tf } from '@heed/tensor-backend'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { composedAttention } from '../../src/ops/attention.ts'
import {
  expectGradientsByDifferences,
  expectNoLeak,
  expectSameAsComposed,
  noiseTensor,
  onEachBackend,
  valuesOf,
} from './conformance.ts'

interface Case {
  name: string
  batch?: number
  seqLen: number
  capacity?: number
  heads?: number
  kvHeads?: number
  headDim?: number
  valueDim?: number
  options?: AttentionOptions
  bias?: number[]
  mask?: number[][]
}

const cases: Case[] = [
  { name: 'one block', seqLen: 5 },
  { name: 'several blocks of queries and keys', seqLen: 131, headDim: 20 },
  { name: 'causal', seqLen: 77, options: { isCausal: true } },
  { name: 'causal with more keys than queries', seqLen: 9, capacity: 75, options: { isCausal: true } },
  { name: 'causal with more queries than keys', seqLen: 9, capacity: 5, options: { isCausal: true } },
  { name: 'a sliding window', seqLen: 150, options: { isCausal: true, slidingWindow: 21 } },
  { name: 'grouped heads', seqLen: 70, heads: 6, kvHeads: 2, options: { isCausal: true } },
  { name: 'values of another size', seqLen: 20, headDim: 24, valueDim: 10 },
  { name: 'a soft cap and a scale', seqLen: 40, options: { softcap: 0.7, scale: 0.9, isCausal: true } },
  { name: 'room left in the cache', seqLen: 6, capacity: 90, options: { keyLen: 70, isCausal: true } },
  { name: 'dropout', batch: 2, seqLen: 70, options: { dropout: { rate: 0.3, seed: 12 }, isCausal: true } },
  { name: 'a full bias', seqLen: 70, bias: [2, 4, 70, 70] },
  { name: 'a bias per head', seqLen: 70, bias: [1, 4, 1, 70], options: { isCausal: true, softcap: 2 } },
  { name: 'a bias per query', seqLen: 7, bias: [1, 1, 7, 7] },
  {
    name: 'padding',
    batch: 3,
    seqLen: 5,
    mask: [
      [1, 1, 1, 0, 0],
      [0, 0, 1, 1, 1],
      [0, 0, 0, 0, 0],
    ],
  },
]

onEachBackend(() => {
  expectNoLeak()
  describe('attention', () => {
    test.each(cases)('with $name equals the composed form, with its gradients', async each => {
      const {
        batch = 2,
        seqLen,
        capacity = seqLen,
        heads = 4,
        kvHeads = heads,
        headDim = 16,
        valueDim = headDim,
      } = each
      const options = (bias?: tf.Tensor): AttentionOptions => ({
        ...each.options,
        ...(each.mask && { keyPaddingMask: tf.tensor2d(each.mask, undefined, 'int32') }),
        ...(bias && { bias }),
      })
      await expectSameAsComposed(
        (q, k, v, bias) => attention(q!, k!, v!, options(bias)),
        (q, k, v, bias) => composedAttention(q!, k!, v!, options(bias)).output,
        [
          [batch, seqLen, heads, headDim],
          [batch, capacity, kvHeads, headDim],
          [batch, capacity, kvHeads, valueDim],
          ...(each.bias ? [each.bias] : []),
        ],
      )
    })

    test('gives the same with and without a gradient being recorded', async () => {
      const [plain, recorded] = await valuesOf(() => {
        const [q, k, v] = [1, 2, 3].map(seed => noiseTensor([2, seed === 1 ? 2 : 150, 4, 16], seed))
        const f = (x: tf.Tensor): tf.Tensor => attention(x, k!, v!, { isCausal: true })
        return [f(q!), tf.valueAndGrad(f)(q!, tf.ones(q!.shape)).value]
      })
      expect(plain).toBeAllclose(recorded!)
    })

    test('has the gradients that differences give', async () => {
      const shape = fc.record({
        seqLen: fc.integer({ min: 1, max: 12 }),
        more: fc.integer({ min: 0, max: 70 }),
        group: fc.integer({ min: 1, max: 3 }),
        headDim: fc.integer({ min: 1, max: 20 }),
        softcap: fc.constantFrom(0.5, 5),
      })
      await fc.assert(
        fc.asyncProperty(shape, ({ seqLen, more, group, headDim, softcap }) =>
          expectGradientsByDifferences(
            (q, k, v, bias) => attention(q!, k!, v!, { isCausal: true, softcap, bias: bias! }),
            [
              [1, seqLen, 2 * group, headDim],
              [1, seqLen + more, 2, headDim],
              [1, seqLen + more, 2, 7],
              [1, 2 * group, 1, seqLen + more],
            ],
          ),
        ),
        { numRuns: 5, seed: 1 },
      )
    })

    test('ignores what lies beyond keyLen and behind a mask, even NaN', async () => {
      const [expected, actual] = await valuesOf(() => {
        const [q, k, v] = [1, 2, 3].map(seed => noiseTensor([1, 5, 2, 8], seed))
        const poison = tf.fill([1, 3, 2, 8], Number.NaN)
        const [longK, longV] = [k!, v!].map(x => tf.concat([x, poison], 1))
        return [attention(q!, k!, v!), attention(q!, longK!, longV!, { keyLen: 5 })]
      })
      expect(actual).toBeAllclose(expected!)
    })

    test('of no keys is 0, and of no queries is empty', async () => {
      const results = await valuesOf(() => {
        const x = noiseTensor([1, 3, 2, 4], 1)
        return [attention(x, x, x, { keyLen: 0 }), attention(tf.zeros([1, 0, 2, 4]), x, x)]
      })
      expect(results).toEqual([new Float32Array(24), new Float32Array(0)])
    })
  })
})
