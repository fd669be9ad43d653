import {
  adamW,
  crossEntropy,
  dropout,
  embedding,
  gelu,
  layerNorm,
  linear,
  rmsNorm,
  rotary,
  silu,
  swiGlu,
  tf,
  tokenLogProbs,
} from '@heed/tensor-backend'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { activate, composedActivation } from '../../src/ops/activation.ts'
import { composedAdamW } from '../../src/ops/adamw.ts'
import { composedCrossEntropy } from '../../src/ops/cross-entropy.ts'
import { composedDropout } from '../../src/ops/dropout.ts'
import { composedEmbedding } from '../../src/ops/embedding.ts'
import { composedGlobalNorm, globalNorm } from '../../src/ops/global-norm.ts'
import { composedLayerNorm } from '../../src/ops/layer-norm.ts'
import { composedLinear } from '../../src/ops/linear.ts'
import { composedRmsNorm } from '../../src/ops/rms-norm.ts'
import { composedRotary } from '../../src/ops/rotary.ts'
import { composedSwiGlu } from '../../src/ops/swiglu.ts'
import { composedTokenLogProbs } from '../../src/ops/token-log-probs.ts'
import {
  expectGradientsByDifferences,
  expectNoLeak,
  expectSameAsComposed,
  noise,
  noiseTensor,
  onCpu,
  onEachBackend,
  valuesOf,
} from './conformance.ts'

type Op = (...inputs: tf.Tensor[]) => tf.Tensor

/** An operation beside its composed form, for inputs of `rows` rows of `cols` columns. */
interface Pair {
  fused: Op
  composed: Op
  shapes: (rows: number, cols: number) => number[][]
}

const sameShape = (count: number) => (rows: number, cols: number) => Array.from({ length: count }, () => [rows, cols])
const withWeights = (count: number) => (rows: number, cols: number) => [[rows, cols], ...Array(count).fill([cols])]

const pairs: Record<string, Pair> = {
  rmsNorm: {
    fused: (x, weight) => rmsNorm(x!, weight!, 1e-2),
    composed: (x, weight) => composedRmsNorm(x!, weight!, 1e-2),
    shapes: withWeights(1),
  },
  layerNorm: {
    fused: (x, weight, bias) => layerNorm(x!, weight!, bias, 1e-2),
    composed: (x, weight, bias) => composedLayerNorm(x!, weight!, bias, 1e-2),
    shapes: withWeights(2),
  },
  'layerNorm without bias': {
    fused: (x, weight) => layerNorm(x!, weight!, undefined, 1e-2),
    composed: (x, weight) => composedLayerNorm(x!, weight!, undefined, 1e-2),
    shapes: withWeights(1),
  },
  "linear with GPT-2's layout": {
    fused: (x, weight, bias) => linear(x!, weight!, bias, 'geluTanh', 'inOut'),
    composed: (x, weight, bias) => composedLinear(x!, weight!, bias, 'geluTanh', 'inOut'),
    shapes: (rows, cols) => {
      const depth = Math.min(cols, 64) // the order of a longer sum would show
      return [[rows, depth], [depth, rows + 3], [rows + 3]]
    },
  },
  swiGlu: {
    fused: (gate, up) => swiGlu(gate!, up!),
    composed: (gate, up) => composedSwiGlu(gate!, up!),
    shapes: sameShape(2),
  },
  silu: { fused: x => silu(x!), composed: x => composedActivation(x!, 'silu'), shapes: sameShape(1) },
  gelu: { fused: x => gelu(x!), composed: x => composedActivation(x!, 'gelu'), shapes: sameShape(1) },
  geluTanh: { fused: x => gelu(x!, 'tanh'), composed: x => composedActivation(x!, 'geluTanh'), shapes: sameShape(1) },
  dropout: {
    fused: x => dropout(x!, 0.4, 77),
    composed: x => composedDropout(x!, 0.4, 77),
    shapes: sameShape(1),
  },
}

const sizes = fc.tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 70 }))

onEachBackend(() => {
  expectNoLeak()

  describe.each(Object.entries(pairs))('%s', (_, { fused, composed, shapes }) => {
    test('equals its composed form on any shape, with gradients', async () => {
      await fc.assert(
        fc.asyncProperty(sizes, ([rows, cols]) => expectSameAsComposed(fused, composed, shapes(rows, cols))),
        { numRuns: 8, seed: 3, examples: [[[300, 16]], [[1, 9000]]] },
      )
    })

    test('has the gradients that differences give', async () => {
      await fc.assert(
        fc.asyncProperty(sizes, ([rows, cols]) => expectGradientsByDifferences(fused, shapes(rows, cols))),
        { numRuns: 4, seed: 5 },
      )
    })
  })

  test.each([false, true])('rotary equals its composed form on any shape, interleaved: %s', async isInterleaved => {
    const shape = fc.record({
      batch: fc.integer({ min: 1, max: 3 }),
      seqLen: fc.integer({ min: 1, max: 9 }),
      heads: fc.integer({ min: 1, max: 4 }),
      half: fc.integer({ min: 1, max: 20 }),
      rest: fc.integer({ min: 0, max: 5 }),
      isPerRow: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(shape, async ({ batch, seqLen, heads, half, rest, isPerRow }) => {
        const angles = [isPerRow ? batch * seqLen : seqLen, half]
        const tables = (): [tf.Tensor, tf.Tensor] => [noiseTensor(angles, 5), noiseTensor(angles, 6)]
        await expectSameAsComposed(
          x => rotary(x!, ...tables(), { isInterleaved }),
          x => composedRotary(x!, ...tables(), isInterleaved),
          [[batch, seqLen, heads, 2 * half + rest]],
        )
      }),
      { numRuns: 12, seed: 11 },
    )
  })

  test('embedding adds up the gradients of an id that comes more than once', async () => {
    const ids = (): tf.Tensor => tf.tensor2d([7, 0, 7, 3, 199, 7, 0, 12], [2, 4], 'int32')
    await expectSameAsComposed(
      weight => embedding(ids(), weight!),
      weight => composedEmbedding(ids(), weight!),
      [[200, 33]],
    )
  })

  test('crossEntropy equals its composed form on any shape and with any options', async () => {
    const options = fc.record({
      rows: fc.integer({ min: 1, max: 30 }),
      vocabSize: fc.integer({ min: 1, max: 90 }),
      labelSmoothing: fc.constantFrom(0, 0.1, 1),
      reduction: fc.constantFrom('mean' as const, 'sum' as const),
      ignoreIndex: fc.constantFrom(-100, 0),
    })
    await fc.assert(
      fc.asyncProperty(options, async ({ rows, vocabSize, ...each }) => {
        const labels = Int32Array.from(noise(rows, 4), x =>
          x > 0.7 ? each.ignoreIndex : Math.floor(Math.abs(x) * vocabSize),
        )
        const label = (): tf.Tensor => tf.tensor1d(labels, 'int32')
        await expectSameAsComposed(
          logits => crossEntropy(logits!, label(), each),
          logits => composedCrossEntropy(logits!, label(), each),
          [[rows, vocabSize]],
        )
      }),
      { numRuns: 12, seed: 2 },
    )
  })

  test('tokenLogProbs equals its composed form, with gradients', async () => {
    const ids = (): tf.Tensor => tf.tensor2d([0, 76, 5, 5, 40, 1], [2, 3], 'int32')
    await expectSameAsComposed(
      logits => tokenLogProbs(logits!, ids()),
      logits => composedTokenLogProbs(logits!, ids()),
      [[2, 3, 77]],
    )
  })

  test('tf.topk gives the largest first, of equal ones the leftmost', async () => {
    const row = fc.array(fc.integer({ min: -4, max: 4 }), { minLength: 1, maxLength: 90 })
    await fc.assert(
      fc.asyncProperty(row, fc.nat(), async (values, any) => {
        const k = 1 + (any % values.length)
        const order = [...values.keys()].sort((a, b) => values[b]! - values[a]! || a - b).slice(0, k)
        const [best, places] = await valuesOf(() => {
          const top = tf.topk(tf.tensor2d([values, values]), k)
          return [top.values, top.indices]
        })
        expect([...places!]).toEqual([...order, ...order])
        expect([...best!]).toEqual([...order, ...order].map(i => values[i]))
      }),
      { numRuns: 30, seed: 4 },
    )
  })

  test('adamW clips by the norm and steps like its composed form, however large the tensors', async () => {
    const shapes = [[5], [90, 101], [1], [0], [4097]]
    const run = (step: typeof adamW, norm: typeof globalNorm): tf.Tensor[] => {
      const parameters = shapes.map((shape, i) => {
        const [value, mean] = [noiseTensor(shape, i), noiseTensor(shape, i + 20)]
        return {
          value: tf.variable(value),
          gradient: noiseTensor(shape, i + 10),
          mean: tf.variable(mean),
          meanSquare: tf.variable(tf.square(mean)),
          weightDecay: i / 10,
        }
      })
      const clip = { norm: norm(parameters.map(({ gradient }) => gradient)), maxNorm: 0.5 }
      step(parameters, { learningRate: 0.1, beta1: 0.9, beta2: 0.99, eps: 1e-6, step: 3, clip })
      const variables = parameters.flatMap(({ value, mean, meanSquare }) => [value, mean, meanSquare])
      const results = [...variables.map(x => x.clone()), clip.norm]
      tf.dispose(variables)
      return results
    }
    const actual = await valuesOf(() => run(adamW, globalNorm))
    const expected = await onCpu(() => valuesOf(() => run(composedAdamW, composedGlobalNorm)))
    for (const [i, values] of expected.entries()) expect(actual[i]).toBeAllclose(values, { atol: 1e-6, rtol: 1e-5 })
  })

  test('activations keep NaN and the ends of the number line', async () => {
    const x = [Number.NaN, Infinity, -1e30, 1e30, 0]
    for (const activation of ['relu', 'silu', 'gelu', 'geluTanh'] as const) {
      const [values] = await valuesOf(() => [activate(tf.tensor1d(x), activation)])
      const [nan, ...rest] = values!
      expect(nan).toBeNaN()
      expect(rest.map(each => (Object.is(each, -0) ? 0 : each))).toEqual([Infinity, 0, Math.fround(1e30), 0])
    }
  })
})
