import { type RopeParameters, RotaryEmbedding, ropeFrequencies } from '@heed/layers'
import { HeedError, tf } from '@heed/tensor-backend'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { camelCased, oracle } from '../oracle.ts'

beforeAll(() => tf.setBackend('cpu'))

const rope = { ropeType: 'default', ropeTheta: 10000 } as const

describe('ropeFrequencies', () => {
  test.each(oracle.rope)("gives transformers' frequencies for $parameters", ({ parameters, ...expected }) => {
    const { inverse, attentionFactor } = ropeFrequencies(camelCased(parameters), 64)
    expect(inverse).toBeAllclose(expected.inverse, { atol: 0, rtol: 1e-6 })
    expect(attentionFactor).toBeCloseTo(expected.attentionFactor, 10)
  })

  test.each<[RopeParameters, number, string]>([
    [
      { ropeType: 'linear', ropeTheta: 10000 } as RopeParameters,
      4,
      'RotaryEmbedding: the parameters are {"ropeType":"linear","ropeTheta":10000}, expected all numbers of rope_type "linear", above 0. Add what is missing.',
    ],
    [
      { ropeType: 'default', ropeTheta: 10000 },
      5,
      'RotaryEmbedding: rotaryDim is 5, expected an even number above 0, since channels turn in pairs. Change the size of the heads.',
    ],
  ])('refuses %j for %i channels, whose angles would be no numbers', (rope, rotaryDim, message) => {
    expect(() => new RotaryEmbedding(rotaryDim, rope)).toThrow(new HeedError('HEED_CONFIG_INVALID', message))
  })

  test('names a rope type that is not known', () => {
    const unknown = { ropeType: 'spiral', ropeTheta: 1 } as unknown as RopeParameters
    expect(() => ropeFrequencies(unknown, 4)).toThrow(
      'RotaryEmbedding: rope_type is "spiral", expected one of default, linear, dynamic, llama3, yarn, longrope.',
    )
  })
})

describe('RotaryEmbedding', () => {
  test('scores depend only on the distance of two positions', () => {
    const positions = new RotaryEmbedding(8, rope)
    fc.assert(
      fc.property(fc.nat(500), fc.nat(50), (start, distance) => {
        tf.tidy(() => {
          const [q, k] = [tf.randomNormal([1, 1, 1, 8]), tf.randomNormal([1, 1, 1, 8])]
          const score = (i: number, j: number): number =>
            tf.sum(tf.mul(positions.range(i, 1).apply(q), positions.range(j, 1).apply(k))).dataSync()[0]!
          expect([score(start + distance, start)]).toBeAllclose([score(distance, 0)], { atol: 1e-4 })
        })
      }),
    )
  })

  test('gives the same angles one by one, in a run and in any order', () => {
    const before = tf.memory().numTensors
    const positions = new RotaryEmbedding(6, rope)
    tf.tidy(() => {
      const run = positions.range(3, 4)
      expect(run.cos.shape).toEqual([4, 3])
      const turned = positions.at([
        [4, 3],
        [6, 5],
      ])
      const row = (angles: tf.Tensor, i: number): number[] => [...angles.dataSync()].slice(3 * i, 3 * i + 3)
      expect([0, 1, 2, 3].map(i => row(turned.sin, i))).toEqual([1, 0, 3, 2].map(i => row(run.sin, i)))
      expect(row(positions.range(5, 1).cos, 0)).toEqual(row(run.cos, 2))
      expect(row(run.cos, 0)).toEqual(
        [0, 1, 2].map(i =>
          Math.fround(Math.cos(Math.fround(3 * Math.fround(1 / Math.fround(10000 ** Math.fround((2 * i) / 6)))))),
        ),
      )
    })
    expect(tf.memory().numTensors).toBe(before)
  })
})
