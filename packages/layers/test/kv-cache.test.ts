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
