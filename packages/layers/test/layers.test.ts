import {
  activate,
  Conv1D,
  Dropout,
  Embedding,
  FeedForward,
  GatedFeedForward,
  hidesKeys,
  KvCache,
  LayerNorm,
  Linear,
  MixtureOfExperts,
  MultiHeadAttention,
  positionsFromMask,
  Random,
  RMSNorm,
  RotaryEmbedding,
  seedDropout,
  splitHeads,
  xavierUniform,
} from '@heed/layers'
import { HeedError, type HeedErrorCode, tf } from '@heed/tensor-backend'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

beforeAll(() => tf.setBackend('cpu'))

const small = fc.integer({ min: 1, max: 5 })

describe('Conv1D', () => {
  test('is a Linear with its weight transposed', () => {
    fc.assert(
      fc.property(small, small, small, (rows, inFeatures, outFeatures) => {
        const before = tf.memory().numTensors
        const [conv, linear] = [new Conv1D(inFeatures, outFeatures), new Linear(inFeatures, outFeatures)]
        tf.tidy(() => {
          linear.loadStateDict({ weight: tf.transpose(conv.weight), bias: conv.bias })
          const x = tf.randomNormal([2, rows, inFeatures])
          expect(conv.forward(x).dataSync()).toBeAllclose(linear.forward(x).dataSync())
        })
        conv.dispose()
        linear.dispose()
        expect(tf.memory().numTensors).toBe(before)
      }),
    )
  })

  test('names the size that is wrong', () => {
    const conv = new Conv1D(3, 2)
    expect(() => conv.forward(tf.ones([2, 4]))).toThrow(
      'Conv1D: x has shape [2, 4], expected a last axis of inFeatures = 3. Check which layer made x.',
    )
    conv.dispose()
  })
})

describe('norms', () => {
  test('RMSNorm does not change when x is scaled, LayerNorm not when x is scaled and shifted', () => {
    const [rms, layer] = [new RMSNorm(8, 0), new LayerNorm(8, { eps: 0 })]
    fc.assert(
      fc.property(
        fc.double({ min: 0.5, max: 20, noNaN: true }),
        fc.double({ min: -3, max: 3, noNaN: true }),
        (a, b) => {
          tf.tidy(() => {
            const x = tf.randomNormal([3, 8])
            const scaled = tf.mul(x, a)
            expect(rms.forward(scaled).dataSync()).toBeAllclose(rms.forward(x).dataSync(), { atol: 1e-4 })
            expect(layer.forward(tf.add(scaled, b)).dataSync()).toBeAllclose(layer.forward(x).dataSync(), {
              atol: 1e-3,
            })
          })
        },
      ),
    )
    rms.dispose()
    layer.dispose()
  })

  test('a LayerNorm without bias has one parameter', () => {
    const layer = new LayerNorm(4, { bias: false })
    expect([...layer.stateDict().keys()]).toEqual(['weight'])
    layer.dispose()
  })
})

test('Embedding gives the rows of its ids', () => {
  const table = new Embedding(3, 2)
  table.loadStateDict({ weight: tf.tensor2d([0, 1, 10, 11, 20, 21], [3, 2]) })
  expect(table.forward(tf.tensor2d([[2, 0]], [1, 2], 'int32')).arraySync()).toEqual([
    [
      [20, 21],
      [0, 1],
    ],
  ])
  table.dispose()
})

describe('feed-forward', () => {
  test('FeedForward is fc2(activation(fc1(x)))', () => {
    const layer = new FeedForward(3, 5, { activation: 'relu' })
    tf.tidy(() => {
      const x = tf.randomNormal([2, 3])
      const expected = layer.fc2.forward(tf.relu(layer.fc1.forward(x)))
      expect(layer.forward(x).dataSync()).toBeAllclose(expected.dataSync())
    })
    layer.dispose()
  })

  test('GatedFeedForward is down(silu(gate(x)) · up(x)) under the keys of LLaMA', () => {
    const layer = new GatedFeedForward(3, 5)
    expect([...layer.stateDict().keys()]).toEqual(['gate_proj.weight', 'up_proj.weight', 'down_proj.weight'])
    tf.tidy(() => {
      const x = tf.randomNormal([2, 3])
      const gate = layer.gateProj.forward(x)
      const expected = layer.downProj.forward(tf.mul(tf.mul(gate, tf.sigmoid(gate)), layer.upProj.forward(x)))
      expect(layer.forward(x).dataSync()).toBeAllclose(expected.dataSync())
    })
    layer.dispose()
  })
})

describe('Dropout', () => {
  test('does nothing outside training', () => {
    const x = tf.ones([10])
    expect(new Dropout(0.5).forward(x)).toBe(x)
  })

  test('drops by its rate and keeps the mean', () => {
    const layer = new Dropout(0.25).train()
    const values = layer.forward(tf.ones([20_000])).dataSync()
    const dropped = values.filter(value => value === 0).length / values.length
    expect(Math.abs(dropped - 0.25)).toBeLessThan(0.015)
    expect(new Set(values)).toEqual(new Set([0, Math.fround(4 / 3)]))
  })

  test('has another mask at each call and in each layer, and the same again after seedDropout', () => {
    const layer = new FeedForward(4, 64, { dropout: 0.5 }).train()
    const x = tf.ones([1, 64])
    seedDropout(layer, 3)
    const first = layer.dropout.forward(x).dataSync()
    expect(layer.dropout.forward(x).dataSync()).not.toEqual(first)
    expect(new Dropout(0.5).train().forward(x).dataSync()).not.toEqual(first)
    seedDropout(layer, 3)
    expect(layer.dropout.forward(x).dataSync()).toEqual(first)
    layer.dispose()
  })

  test('refuses a rate outside 0 to 1', () => {
    expect(() => new Dropout(1)).toThrow(
      'Dropout: rate is 1, expected a number from 0 to below 1. Give the share of elements to drop.',
    )
  })
})

describe('masks', () => {
  test('positions count the tokens before each one and not the padding', () => {
    expect(
      positionsFromMask([
        [0, 0, 1, 1],
        [1, 1, 1, 1],
      ]),
    ).toEqual([
      [1, 1, 0, 1],
      [0, 1, 2, 3],
    ])
  })

  test('a mask of ones hides nothing', () => {
    expect(
      hidesKeys([
        [1, 1],
        [1, 1],
      ]),
    ).toBe(false)
    expect(
      hidesKeys([
        [1, 1],
        [0, 1],
      ]),
    ).toBe(true)
  })
})

describe('what cannot be computed is refused by name', () => {
  const table = new Embedding(5, 4)
  afterAll(() => table.dispose())

  test.each<[string, () => unknown, string, string]>([
    [
      'a table to share of another shape',
      () => new Linear(4, 9, { weight: table.weight, bias: false }),
      'HEED_SHAPE_MISMATCH',
      'Linear: weight has shape [5, 4], expected [9, 4]. Reshape weight or check the sizes it was made with.',
    ],
    [
      'an activation that is none',
      () => activate(tf.ones([1]), 'swish' as 'silu'),
      'HEED_ARGUMENT_INVALID',
      'activate: activation is "swish", expected one of none, relu, silu, gelu, geluTanh. Name one of these.',
    ],
    [
      'channels that do not part into heads',
      () => splitHeads(tf.ones([1, 2, 7]), 2),
      'HEED_SHAPE_MISMATCH',
      'splitHeads: x has shape [1, 2, 7], expected a last axis that is a multiple of numHeads (2). Check which layer made x.',
    ],
    [
      'a batch without its axis',
      () => splitHeads(tf.ones([2, 8]), 2),
      'HEED_SHAPE_MISMATCH',
      'splitHeads: x has shape [2, 8], expected 3 axes [batch, seqLen, numHeads · headDim]. Reshape x first.',
    ],
    [
      'more experts for a token than there are',
      () => new MixtureOfExperts(4, { numExperts: 2, numExpertsPerTok: 3 }, () => new GatedFeedForward(4, 8)),
      'HEED_CONFIG_INVALID',
      'MixtureOfExperts: numExpertsPerTok is 3, expected a whole number from 1 to numExperts (2). Change one of them.',
    ],
    [
      'a size that is a text',
      () => new Linear('3' as never, 4),
      'HEED_ARGUMENT_INVALID',
      'Linear: inFeatures is "3", expected a positive integer. Give it as a number.',
    ],
    [
      'a size that was left out',
      () => new Embedding(3, undefined as never),
      'HEED_ARGUMENT_INVALID',
      'Embedding: hiddenSize is undefined, expected a positive integer. Give it as a number.',
    ],
    [
      'a rate of dropout that is a text',
      () => new Dropout('0.1' as never),
      'HEED_ARGUMENT_INVALID',
      'Dropout: rate is "0.1", expected a number from 0 to below 1. Give the share of elements to drop.',
    ],
    [
      'an option in the place of its object',
      () => new LayerNorm(8, 1e-5 as never),
      'HEED_ARGUMENT_INVALID',
      'LayerNorm: the options are 0.00001, expected an object with eps, bias. Give each by its name: { eps: ... }.',
    ],
    ...(
      [
        ['Linear: bais', 'bias', options => new Linear(2, 2, options)],
        ['Embedding: paddingIndex', 'paddingIdx', options => new Embedding(2, 2, options)],
        ['FeedForward: droput', 'dropout', options => new FeedForward(2, 2, options)],
        ['GatedFeedForward: activations', 'activation', options => new GatedFeedForward(2, 2, options)],
        ['KvCache: slidingWindow', 'slidingWindows', options => new KvCache(2, options)],
        [
          'MultiHeadAttention: numKeyValueHead',
          'numKeyValueHeads',
          options => new MultiHeadAttention({ hiddenSize: 4, numAttentionHeads: 2, ...(options as object) }),
        ],
        [
          'attention: causal',
          'isCausal',
          options =>
            new MultiHeadAttention({ hiddenSize: 4, numAttentionHeads: 2 }).forward(tf.ones([1, 2, 4]), options),
        ],
      ] as [string, string, (options: never) => unknown][]
    ).map(([name, meant, call]): [string, () => unknown, string, string] => [
      `an option of an unknown name, ${name}`,
      () => call({ [name.split(': ')[1]!]: 1 } as never),
      'HEED_ARGUMENT_INVALID',
      `${name} is not an option, expected ${meant}. Rename it or leave it out.`,
    ]),
    [
      'a position before the first',
      () => new RotaryEmbedding(4, { ropeType: 'default', ropeTheta: 100 }).range(-1, 3),
      'HEED_ARGUMENT_INVALID',
      'RotaryEmbedding: a position is -1, expected a whole number from 0 on. Count positions from 0.',
    ],
    [
      'Xavier values of a vector',
      () => xavierUniform()([4], new Random(1)),
      'HEED_SHAPE_MISMATCH',
      'xavierUniform: the parameter has shape [4], expected a matrix. Give vectors another initializer, such as zeros.',
    ],
  ])('%s', (_, call, code, message) => {
    expect(() => tf.tidy(() => void call())).toThrow(new HeedError(code as HeedErrorCode, message))
  })

  test('a padding index below 0 counts from the end, as in PyTorch', () => {
    const layer = new Embedding(3, 1, { paddingIdx: -1 })
    const ids = tf.tensor1d([0, 2], 'int32')
    const { grads } = tf.variableGrads(() => tf.sum(layer.forward(ids)), [layer.weight])
    expect([...Object.values(grads)[0]!.dataSync()]).toEqual([1, 0, 0])
    layer.dispose()
  })
})
