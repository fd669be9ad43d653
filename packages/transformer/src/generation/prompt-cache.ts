import type { KvCache } from '@heed/layers'
import type { CausalLm } from '../model.ts'

/**
 * The keys and values of one conversation, kept from call to call: `generate` with it computes only what is new since the
 * longest beginning that this prompt and what was read and written last have in common. The caller disposes it.
 */
export class PromptCache {
  readonly cache: KvCache
  readonly #ids: number[] = [] // what the cache holds

  constructor(readonly model: CausalLm) {
    this.cache = model.createCache()
  }

  /** How many tokens are held. */
  get length(): number {
    return this.#ids.length
  }

  /** Keeps the beginning that `prompt` shares, but for its last token, whose logits are wanted. */
  keepBeginningOf(prompt: readonly number[]): void {
    this.truncate(this.sharedWith(prompt))
  }

  /** How many tokens `keepBeginningOf` would keep. */
  sharedWith(prompt: readonly number[]): number {
    const longest = Math.min(this.#ids.length, prompt.length - 1)
    let length = 0
    while (length < longest && this.#ids[length] === prompt[length]) length += 1
    return length
  }

  /** Takes note of tokens whose keys and values the cache has got. */
  record(ids: readonly number[]): void {
    this.#ids.push(...ids)
  }

  /** Forgets all tokens from `length` on. */
  truncate(length: number): void {
    this.cache.truncate(length)
    this.#ids.length = length
  }

  dispose(): void {
    this.cache.dispose()
    this.#ids.length = 0
  }
}
