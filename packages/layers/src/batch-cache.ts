import { attendEach, tf } from '@heed/tensor-backend'
import type { AttentionCache, KvCache, LayerCache } from './kv-cache.ts'

/** One attention layer of sequences with a cache each: row i of the batch attends to what cache i holds. */
export class BatchLayerCache implements AttentionCache {
  constructor(private readonly caches: readonly LayerCache[]) {}

  attend(...[q, k, v, step, options]: Parameters<AttentionCache['attend']>): tf.Tensor {
    const count = this.caches.length
    if (count === 1) return this.caches[0]!.attend(q, k, v, step, options)
    const { bias, keyPaddingMask, weights, slidingWindow } = step
    const isPlain = !bias && !keyPaddingMask && !weights && !options.dropout?.rate
    if (q.shape[1] === 1 && isPlain && !this.caches.some(cache => cache.isPacked)) {
      const sequences = this.caches.map(cache => cache.next(k, v, step))
      const output = attendEach(q, k, v, sequences, { ...options, ...(slidingWindow && { slidingWindow }) })
      for (const cache of this.caches) cache.advance(1)
      return output
    }
    const [queries, keys, values] = [q, k, v].map(x => tf.split(x, count)) as [tf.Tensor[], tf.Tensor[], tf.Tensor[]]
    return tf.concat(this.caches.map((cache, i) => cache.attend(queries[i]!, keys[i]!, values[i]!, step, options)))
  }
}

/**
 * Sequences of different lengths that go through a model together, one new token each: the projections are one product of the
 * whole batch, and each sequence attends to its own cache. Yu et al. 2022 ("Orca", OSDI 22), selective batching. Give the model
 * `positionIds`, the length of each cache. The caches stay the caller's.
 */
export class BatchCache {
  readonly layers: readonly BatchLayerCache[]

  constructor(readonly caches: readonly KvCache[]) {
    const numLayers = caches[0]?.layers.length ?? 0
    this.layers = Array.from(
      { length: numLayers },
      (_, i) => new BatchLayerCache(caches.map(cache => cache.layers[i]!)),
    )
  }

  /** Positions held by the longest. */
  get length(): number {
    return Math.max(0, ...this.caches.map(cache => cache.length))
  }
}
