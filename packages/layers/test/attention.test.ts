import { KvCache, MultiHeadAttention, Recorder, RotaryEmbedding } from '@heed/layers'
import { HeedError, tf } from '@heed/tensor-backend'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { oracle } from './oracle.ts'

beforeAll(() => tf.setBackend('cpu'))

const { multiHeadAttention: torch } = oracle

function torchAttention(): MultiHeadAttention {
  const attention = new MultiHeadAttention({ hiddenSize: 8, numAttentionHeads: 2 })
  const shapes = attention.stateDict()
  const state = Object.entries(torch.state).map(([key, values]) => [key, tf.tensor(values, shapes.get(key)!.shape)])
  attention.loadStateDict(Object.fromEntries(state))
  return attention
}

describe('MultiHeadAttention', () => {
  test('gives the output, weights and gradient of torch.nn.MultiheadAttention in padded cross attention', () => {
    const attention = torchAttention()
    const x = tf.tensor3d(torch.x, [2, 3, 8])
    const memory = tf.tensor3d(torch.memory, [2, 4, 8])
    const keyPaddingMask = tf.tensor2d(torch.padding, [2, 4], 'int32')
    const weights = new Recorder()
    const output = attention.forward(x, { memory, keyPaddingMask, weights })
    expect(output.dataSync()).toBeAllclose(torch.output)
    expect(weights.take()[0]!.dataSync()).toBeAllclose(torch.weights)
    const gradient = tf.grad(y => tf.sum(tf.square(attention.forward(y, { memory, keyPaddingMask }))))(x)
    expect(gradient.dataSync()).toBeAllclose(torch.xGradient)
    attention.dispose()
  })

  test('token by token with a cache, rotary positions and grouped heads, it gives what one pass gives', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 3 }), (seqLen, firstLen) => {
        const attention = new MultiHeadAttention({ hiddenSize: 16, numAttentionHeads: 4, numKeyValueHeads: 2 })
        const rope = new RotaryEmbedding(4, { ropeType: 'default', ropeTheta: 10000 })
        const cache = new KvCache(1, { capacity: 2 })
        const before = tf.memory().numTensors
        const x = tf.randomNormal([2, firstLen + seqLen, 16])
        tf.tidy(() => {
          const whole = attention.forward(x, { isCausal: true, rotary: rope.range(0, firstLen + seqLen) })
          const [first, ...rest] = tf.split(x, [firstLen, ...Array(seqLen).fill(1)], 1)
          const steps = [first!, ...rest].map(part =>
            attention.forward(part, {
              isCausal: true,
              cache: cache.layers[0]!,
              rotary: rope.range(cache.length, part.shape[1]!),
            }),
          )
          expect(tf.concat(steps, 1).dataSync()).toBeAllclose(whole.dataSync())
        })
        cache.dispose()
        x.dispose()
        expect(tf.memory().numTensors).toBe(before)
        attention.dispose()
      }),
      { numRuns: 10 },
    )
  })

  test('in cross attention the cache keeps the keys of the first memory', () => {
    const attention = torchAttention()
    const [x, memory] = [tf.tensor3d(torch.x, [2, 3, 8]), tf.tensor3d(torch.memory, [2, 4, 8])]
    const cache = new KvCache(1)
    const first = attention.forward(x, { memory, cache: cache.layers[0]! })
    const again = attention.forward(x, { memory: tf.zerosLike(memory), cache: cache.layers[0]! })
    expect(again.dataSync()).toEqual(first.dataSync())
    cache.dispose()
    attention.dispose()
  })

  test('refuses heads that do not divide', () => {
    const make = () => new MultiHeadAttention({ hiddenSize: 8, numAttentionHeads: 4, numKeyValueHeads: 3 })
    expect(make).toThrow(HeedError)
    expect(make).toThrow(
      'MultiHeadAttention: numAttentionHeads is 4, expected a multiple of numKeyValueHeads (3). Change one of them.',
    )
    expect(() => new MultiHeadAttention({ hiddenSize: 10, numAttentionHeads: 4 })).toThrow(
      'MultiHeadAttention: hiddenSize is 10, expected a multiple of numAttentionHeads (4). Change one of them.',
    )
  })
})

describe('Recorder', () => {
  test('carries a tensor out of a tidy and then lets the scope around it free it', () => {
    const before = tf.memory().numTensors
    const recorder = new Recorder()
    tf.tidy(() => {
      tf.tidy(() => recorder.record(tf.scalar(3)))
      expect(recorder.take()[0]!.dataSync()[0]).toBe(3)
    })
    expect(tf.memory().numTensors).toBe(before)
  })
})
