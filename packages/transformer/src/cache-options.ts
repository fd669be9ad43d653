import type { KvCacheOptions } from '@heed/layers'
import { HeedError } from '@heed/tensor-backend'

/** What a cache of keys and values holds, and so the memory that a long text takes. */
export interface CacheOptions {
  /** Layers with a sliding window hold what is in reach of it ('hybrid', the default) or, as all other layers do, every position ('full'). */
  cacheImplementation?: 'hybrid' | 'full' | undefined
}

/** The options of a `KvCache` of layers with these windows. Throws HEED_ARGUMENT_INVALID. */
export function kvCacheOptions(
  capacity: number | undefined,
  { cacheImplementation = 'hybrid' }: CacheOptions = {},
  slidingWindows?: readonly (number | null)[],
): KvCacheOptions {
  if (cacheImplementation !== 'hybrid' && cacheImplementation !== 'full') {
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `createCache: cacheImplementation is ${JSON.stringify(cacheImplementation)}, expected "hybrid" or "full". Change it or leave it out.`,
    )
  }
  return { capacity, ...(cacheImplementation === 'hybrid' && { slidingWindows }) }
}
