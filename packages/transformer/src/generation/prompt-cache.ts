import type { KvCache } from '@heed/layers'
import type { CacheOptions } from '../cache-options.ts'
import type { CausalLm } from '../model.ts'

/**
 * The keys and values of one conversation, kept from call to call: `generate` with it computes only what is new since the
 * longest beginning that this prompt and what was read and written last have in common. Where angles of positions depend on the
 * length of the text, keys made with other angles than this prompt's are made anew. The caller disposes it.
 */
export class PromptCache {
  readonly cache: KvCache
  readonly #ids: number[] = [] // what the cache holds
  readonly #anglesUpTo: number[] = [] // `sameAnglesUpTo` of the text that each was computed in
  /** Whether a call of `generate` is writing into it. */
  isInUse = false

  /** Throws HEED_ARGUMENT_INVALID. */
  constructor(
    readonly model: CausalLm,
    options: CacheOptions = {},
  ) {
    this.cache = model.createCache(undefined, options)
  }

  /** How many tokens are held. */
  get length(): number {
    return this.#ids.length
  }

  /** Keeps the beginning that `prompt` shares, but for its last token, whose logits are wanted; nothing where `truncate` cannot. */
  keepBeginningOf(prompt: readonly number[]): void {
    this.truncate(this.sharedWith(prompt))
  }

  /** How many tokens `keepBeginningOf` would keep. */
  sharedWith(prompt: readonly number[]): number {
    const longest = Math.min(this.#ids.length, prompt.length - 1)
    const anglesUpTo = this.model.sameAnglesUpTo(prompt.length)
    const isShared = (i: number): boolean => this.#ids[i] === prompt[i] && this.#anglesUpTo[i] === anglesUpTo
    let length = 0
    while (length < longest && isShared(length)) length += 1
    return this.cache.usable(length)
  }

  /** Takes note of tokens whose keys and values the cache has got, computed with the angles of a text of `textLength`. */
  record(ids: readonly number[], textLength: number): void {
    const anglesUpTo = this.model.sameAnglesUpTo(textLength)
    for (const id of ids) {
      this.#ids.push(id)
      this.#anglesUpTo.push(anglesUpTo)
    }
  }

  /** Forgets all tokens from `length` on and gives how many are left; see `KvCache.truncate`. */
  truncate(length: number): number {
    this.#ids.length = this.cache.truncate(length)
    this.#anglesUpTo.length = this.#ids.length
    return this.length
  }

  dispose(): void {
    this.cache.dispose()
    this.#ids.length = 0
    this.#anglesUpTo.length = 0
  }
}
