import { KvCache } from '@heed/layers'
import { tf } from '@heed/tensor-backend'
import { beforeAll, expect, test } from 'vitest'

beforeAll(() => tf.setBackend('cpu'))

/** The filled rows of layer 0, as [batch][position]. */
function contentOf(cache: KvCache): number[][] {
  return tf.tidy(() => {
    const [keys] = cache.layers[0]!.tensors
    const [batch] = keys.shape as [number]
    return keys.slice([0, 0, 0, 0], [batch, cache.length, 1, 1]).reshape<tf.Tensor2D>([batch, cache.length]).arraySync()
  })
}

function append(cache: KvCache, rows: number[][]): void {
  tf.tidy(() => {
    const tensor = tf.tensor2d(rows).reshape([rows.length, rows[0]!.length, 1, 1])
    cache.layers[0]!.append(tensor, tf.neg(tensor))
  })
}

test('holds what was appended while its buffers grow, forget and reorder', () => {
  const before = tf.memory().numTensors
  const cache = new KvCache(1, { capacity: 2 })
  append(cache, [[1], [10]])
  append(cache, [
    [2, 3],
    [20, 30],
  ])
  expect(contentOf(cache)).toEqual([
    [1, 2, 3],
    [10, 20, 30],
  ])
  cache.truncate(2)
  append(cache, [[4], [40]])
  cache.reorder([1, 1])
  expect(contentOf(cache)).toEqual([
    [10, 20, 40],
    [10, 20, 40],
  ])
  cache.reorder([0, 1, 1])
  append(cache, [[5], [6], [7]])
  expect(contentOf(cache)).toEqual([
    [10, 20, 40, 5],
    [10, 20, 40, 6],
    [10, 20, 40, 7],
  ])
  expect(cache.layers[0]!.tensors[1].dataSync()[0]).toBe(-10)
  cache.dispose()
  expect(cache.length).toBe(0)
  expect(tf.memory().numTensors).toBe(before)
})

test('doubles its buffers, so that growing copies each position at most twice on average', () => {
  const cache = new KvCache(1, { capacity: 4 })
  const capacities = Array.from({ length: 17 }, () => {
    append(cache, [[0]])
    return cache.layers[0]!.tensors[0].shape[1]
  })
  expect(new Set(capacities)).toEqual(new Set([4, 8, 16, 32]))
  cache.dispose()
})

test('refuses to truncate to more than it holds', () => {
  const cache = new KvCache(1)
  expect(() => cache.truncate(1)).toThrow(
    'KvCache.truncate: length is 1, expected a whole number from 0 to the 0 positions held.',
  )
})

/** What a step of random numbers gives, in a cache of all positions and in one of the window: [pieces][values]. */
function windowedAttention(
  cuts: number[],
  slidingWindow: number,
  mask: number[][] | undefined,
): [tf.Tensor[], tf.Tensor[]] {
  const length = cuts.reduce((a, b) => a + b)
  const batch = mask?.length ?? 1
  const random = (seed: number): tf.Tensor => tf.randomNormal([batch, length, 2, 4], 0, 1, 'float32', seed)
  const [q, k, v] = [random(1), random(2), random(3)]
  const bias = tf.randomNormal([1, 2, 1, length], 0, 1, 'float32', 4)
  const caches = [new KvCache(1), new KvCache(1, { capacity: 2, slidingWindows: [slidingWindow] })]
  const outputs = caches.map(cache => {
    let begin = 0
    const pieces = cuts.map(count => {
      const at = (x: tf.Tensor): tf.Tensor => x.slice([0, begin], [-1, count])
      const end = begin + count
      const step = {
        isCausal: true,
        slidingWindow,
        bias: bias.slice([0, 0, 0, 0], [-1, -1, -1, end]),
        ...(mask && {
          keyPaddingMask: tf.tensor2d(
            mask.map(row => row.slice(0, end)),
            [batch, end],
            'int32',
          ),
        }),
      }
      const output = cache.layers[0]!.attend(at(q), at(k), at(v), step, {})
      begin = end
      return output
    })
    expect(cache.length).toBe(length)
    cache.dispose()
    return pieces
  })
  return outputs as [tf.Tensor[], tf.Tensor[]]
}

test('a window that moves changes nothing that is computed, however the text is cut, with masks and biases', () => {
  const hidden = Array.from({ length: 60 }, (_, i) => Number(i > 35 || i % 3 === 0))
  for (const cuts of [Array(60).fill(1), [60], [9, 1, 1, 30, 1, 1, 1, 16], [3, 4, 20, 2, 31], [11, 2, 2, 2, 2, 41]]) {
    for (const window of [1, 5, 16]) {
      for (const mask of [undefined, [hidden, hidden.map(() => 1)]]) {
        tf.tidy(() => {
          const [all, windowed] = windowedAttention(cuts, window, mask)
          for (const [i, piece] of all.entries()) {
            const distance = tf.max(tf.abs(tf.sub(piece, windowed[i]!))).dataSync()[0]!
            expect(distance, `cuts ${cuts}, window ${window}, piece ${i}`).toBeLessThan(1e-5)
          }
        })
      }
    }
  }
})

test('a window takes back the positions that it has to spare, and none beyond them', () => {
  const before = tf.memory().numTensors
  const cache = new KvCache(2, { capacity: 2, slidingWindows: [16, null] })
  const read = (count: number): void =>
    tf.tidy(() => {
      const rows = tf.ones([1, count, 1, 1])
      for (const layer of cache.layers) layer.append(rows, rows)
    })
  for (let i = 0; i < 50; i++) read(1)
  // 15 before the next token and 2 to spare are left when buffers of 19 are full
  expect(cache.layers.map(({ numHeld }) => numHeld)).toEqual([17, 50])
  expect([50, 49, 48, 47, 0].map(length => cache.usable(length))).toEqual([50, 49, 48, 0, 0])
  expect(cache.truncate(48)).toBe(48)
  expect(cache.layers.map(({ numHeld }) => numHeld)).toEqual([15, 48])
  expect(cache.truncate(30)).toBe(0)
  expect([cache.length, ...cache.layers.map(({ length }) => length)]).toEqual([0, 0, 0])
  read(10)
  expect(cache.truncate(3)).toBe(3)
  cache.dispose()
  expect(tf.memory().numTensors).toBe(before)
})

test('refuses queries that look farther back than its window', () => {
  const cache = new KvCache(1, { slidingWindows: [8] })
  const x = tf.ones([1, 1, 1, 4])
  expect(() => cache.layers[0]!.attend(x, x, x, { isCausal: true }, {})).toThrow(
    'LayerCache.attend: slidingWindow is Infinity, expected at most the 8 of the cache. Give the KvCache the window of each layer.',
  )
  x.dispose()
  cache.dispose()
})
