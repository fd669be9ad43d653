import { init, tf } from '@heed/tensor-backend'
import { describe, expect, test } from 'vitest'

/** Whole numbers, so that the order of additions does not show. */
function whole(shape: [number, number], salt: number): tf.Tensor2D {
  return tf.tensor2d(
    Float32Array.from({ length: shape[0] * shape[1] }, (_, i) => ((i * 7 + salt) % 11) - 5),
    shape,
  )
}

for (const backend of ['native', 'wasm'] as const) {
  // More threads than most machines have cores: some lose theirs in the middle of a loop.
  const report = await init({ backend, threads: 5 }).catch((error: Error) => error.message)

  describe.skipIf(typeof report === 'string')(`${backend} on five threads (${JSON.stringify(report)})`, () => {
    test('says how many threads it has', async () => {
      expect(await init({ backend, threads: 5 })).toMatchObject({ backend, threads: 5 })
    })

    test('hundreds of loops in a row each give their own result', async () => {
      await init({ backend, threads: 5 })
      const before = tf.memory().numTensors
      tf.tidy(() => {
        const [a, b] = [whole([150, 90], 1), whole([90, 130], 2)]
        const expected = tf.matMul(a, b).dataSync()
        for (let i = 0; i < 300; i++) {
          const c = tf.matMul(a, b)
          expect(c.dataSync().every((value, at) => value === expected[at])).toBe(true)
          const sum = tf.sum(tf.add(tf.zeros([200_000]), 1))
          expect(sum.dataSync()[0]).toBe(200_000)
          tf.dispose([c, sum])
        }
      })
      expect(tf.memory().numTensors).toBe(before)
    })

    test('a vector times a matrix of many rows or of few is the sum of its rows', async () => {
      await init({ backend, threads: 5 })
      const before = tf.memory().numTensors
      tf.tidy(() => {
        for (const [depth, cols] of [
          [701, 303],
          [40, 20_011],
        ] as const) {
          const [x, matrix, bias] = [whole([1, depth], 1), whole([depth, cols], 2), whole([1, cols], 3).as1D()]
          const sums = tf.add(tf.sum(tf.mul(x.reshape([depth, 1]), matrix), 0), bias)
          const product = tf.fused.matMul({ a: x, b: matrix, bias, activation: 'relu' })
          expect(product.dataSync()).toEqual(tf.relu(sums).dataSync())
        }
      })
      expect(tf.memory().numTensors).toBe(before)
    })
  })
}
