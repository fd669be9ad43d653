import type { CacheDtype, KvCacheOptions } from '@heed/layers'
import { HeedError } from '@heed/tensor-backend'

/** What a cache of keys and values holds, and so the memory that a long text takes. */
export interface CacheOptions {
  /** Layers with a sliding window hold what is in reach of it ('hybrid', the default) or, as all other layers do, every position ('full'). */
  cacheImplementation?: 'hybrid' | 'full' | undefined
  /** In how many bits they are held: 'float32' (the default), 'float16' or 'q8_0', on the native and wasm backends. Arithmetic stays float32. */
  cacheDtype?: CacheDtype | undefined
}

const choices = { cacheImplementation: ['hybrid', 'full'], cacheDtype: ['float32', 'float16', 'q8_0'] } as const

/** The options of a `KvCache` of layers with these windows. Throws HEED_ARGUMENT_INVALID. */
export function kvCacheOptions(
  capacity: number | undefined,
  { cacheImplementation = 'hybrid', cacheDtype = 'float32' }: CacheOptions = {},
  slidingWindows?: readonly (number | null)[],
): KvCacheOptions {
  for (const [name, value] of Object.entries({ cacheImplementation, cacheDtype })) {
    const known: readonly string[] = choices[name as keyof typeof choices]
    if (known.includes(value)) continue
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `createCache: ${name} is ${JSON.stringify(value)}, expected ${known.map(choice => JSON.stringify(choice)).join(' or ')}. ` +
        'Change it or leave it out.',
    )
  }
  return { capacity, dtype: cacheDtype, ...(cacheImplementation === 'hybrid' && { slidingWindows }) }
}
