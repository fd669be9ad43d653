import { adamW, attendEach, attention, lion, tf, writeRows } from '@heed/tensor-backend'
import { expect, test } from 'vitest'
import { expectNoLeak, noiseTensor, onEachBackend, valuesOf } from './conformance.ts'

function zeroVariable(...shape: number[]): tf.Variable {
  return tf.tidy(() => tf.variable(tf.zeros(shape)))
}

onEachBackend(() => {
  expectNoLeak()

  const settings = { learningRate: 0.5, beta1: 0.9, beta2: 0.99, eps: 1e-8, step: 1 }

  test('adamW changes the variables and nothing that shared their values', async () => {
    const start = tf.tensor1d([1, 2, 3])
    const value = tf.variable(start)
    const [mean, meanSquare] = [zeroVariable(3), zeroVariable(3)]
    const gradient = tf.tensor1d([1, -1, 2])
    const parameter = { value, gradient, mean, meanSquare, weightDecay: 0 }
    adamW([parameter], settings)
    const copy = value.clone()
    adamW([parameter], { ...settings, step: 2 })
    expect(await start.data()).toEqual(new Float32Array([1, 2, 3]))
    expect(await copy.data()).toBeAllclose([0.5, 2.5, 2.5])
    expect(await value.data()).toBeAllclose([0, 3, 2])
    expect(await gradient.data()).toEqual(new Float32Array([1, -1, 2]))
    tf.dispose([start, copy, gradient, value, mean, meanSquare])
  })

  test('lion moves by the learning rate in the direction of its running mean', async () => {
    const value = tf.tidy(() => tf.variable(tf.tensor1d([1, 1, 1, 1])))
    const mean = tf.tidy(() => tf.variable(tf.tensor1d([1, -1, 0, 0.1])))
    const gradient = tf.tensor1d([-1, 4, 0, -2])
    const norm = tf.scalar(8)
    const options = { learningRate: 0.5, beta1: 0.9, beta2: 0.5, clip: { norm, maxNorm: 4 } }
    lion([{ value, gradient, mean, weightDecay: 0.1 }], options)
    // Gradients halved: 0.9 · mean + 0.1 · g is 0.85, -0.7, 0 and -0.01.
    expect(await value.data()).toBeAllclose([0.45, 1.45, 0.95, 1.45])
    expect(await mean.data()).toBeAllclose([0.25, 0.5, 0, -0.45])
    tf.dispose([value, mean, gradient, norm])
  })

  test('adamW of no parameters does nothing', () => {
    adamW([], settings)
  })

  test.each([{}, { slidingWindow: 3 }, { softcap: 2, scale: 0.3 }])(
    'attendEach with %j is attention over each cache and the new position',
    async options => {
      const lengths = [0, 4, 7]
      const sequences = lengths.map((length, i) => ({
        keys: tf.tidy(() => tf.variable(noiseTensor([1, 8, 2, 5], 10 + i))),
        values: tf.tidy(() => tf.variable(noiseTensor([1, 8, 2, 3], 20 + i))),
        length,
      }))
      const [q, k, v] = [noiseTensor([3, 1, 4, 5], 1), noiseTensor([3, 1, 2, 5], 2), noiseTensor([3, 1, 2, 3], 3)]
      const expected = await valuesOf(() =>
        sequences.map(({ keys, values, length }, i) => {
          const joined = ([cache, rows]: readonly [tf.Tensor, tf.Tensor]): tf.Tensor =>
            tf.concat([tf.slice(cache, [0, 0, 0, 0], [1, length, -1, -1]), tf.slice(rows, i, 1)], 1)
          const [keysSoFar, valuesSoFar] = (
            [
              [keys, k],
              [values, v],
            ] as const
          ).map(joined) as [tf.Tensor, tf.Tensor]
          return attention(tf.slice(q, i, 1), keysSoFar, valuesSoFar, { ...options, isCausal: true })
        }),
      )
      const y = attendEach(q, k, v, sequences, options)
      const rows = await valuesOf(() => tf.split(y, lengths.length))
      for (const [i, row] of rows.entries()) expect(row).toBeAllclose(expected[i]!)
      const [kept] = await valuesOf(() => [tf.slice(sequences[1]!.keys, [0, 4, 0, 0], [1, 1, 2, 5])])
      expect(kept).toEqual((await valuesOf(() => [tf.slice(k, 1, 1)]))[0])
      tf.dispose([q, k, v, y, ...sequences.flatMap(({ keys, values }) => [keys, values])])
    },
  )

  test('attendEach refuses a full cache', () => {
    const cache = { keys: zeroVariable(1, 2, 1, 3), values: zeroVariable(1, 2, 1, 3), length: 2 }
    const x = noiseTensor([1, 1, 1, 3], 1)
    expect(() => attendEach(x, x, x, [cache])).toThrow('attendEach: length is 2, expected a whole number below 2')
    tf.dispose([x, cache.keys, cache.values])
  })

  test('writeRows fills the cache step by step', async () => {
    const cache = zeroVariable(2, 5, 1, 3)
    const [first, second] = [noiseTensor([2, 3, 1, 3], 1), noiseTensor([2, 1, 1, 3], 2)]
    writeRows(cache, first, 0)
    const before = cache.clone()
    writeRows(cache, second, 3)
    const [filled, halfFilled] = await valuesOf(() => {
      const rest = tf.zeros([2, 1, 1, 3])
      return [tf.concat([first, second, rest], 1), tf.concat([first, rest, rest], 1)]
    })
    expect(await cache.data()).toEqual(filled)
    expect(await before.data()).toEqual(halfFilled)
    tf.dispose([cache, first, second, before])
  })
})
