import { hidesKeys, type KvCache, positionsFromMask } from '@heed/layers'
import { tf } from '@heed/tensor-backend'
import type { CausalLm } from '../model.ts'

/** One generation under way: what a model keeps between tokens. */
export interface Decoding {
  /** Appends tokens to each sequence and gives the logits after the last one: a row of vocabSize for each. */
  step(tokens: readonly (readonly number[])[]): Promise<Float32Array[]>
  /** Row i goes on from what row rows[i] was. */
  reorder(rows: readonly number[]): void
  dispose(): void
}

/** Decoding with a causal language model and its key-value cache; left padding is masked and not counted in positions. */
export class CausalDecoding implements Decoding {
  readonly #cache: KvCache
  #mask: number[][] | undefined // of all tokens so far; undefined while nothing is hidden

  /** attentionMask: of the prompts. `capacity`: how many tokens there will be at most. */
  constructor(
    private readonly model: CausalLm,
    attentionMask: readonly (readonly number[])[] | undefined,
    capacity: number,
  ) {
    this.#cache = model.createCache(capacity)
    if (attentionMask && hidesKeys(attentionMask)) this.#mask = attentionMask.map(row => [...row])
  }

  async step(tokens: readonly (readonly number[])[]): Promise<Float32Array[]> {
    const past = this.#cache.length
    const mask = this.#mask
    if (mask && past > 0) for (const [i, row] of mask.entries()) for (const _ of tokens[i]!) row.push(1)
    const output = this.model.forward({
      inputIds: tokens,
      ...(mask && { attentionMask: mask, positionIds: positionsFromMask(mask).map(row => row.slice(past)) }),
      cache: this.#cache,
      logitsToKeep: 1,
    })
    return logitRows(output)
  }

  reorder(rows: readonly number[]): void {
    this.#cache.reorder(rows)
    if (this.#mask) this.#mask = rows.map(row => [...this.#mask![row]!])
  }

  dispose(): void {
    this.#cache.dispose()
  }
}

/** Reads the logits of one position, [batch, 1, vocabSize], a row for each sequence, and disposes of the output. */
export async function logitRows(output: { logits: tf.Tensor }): Promise<Float32Array[]> {
  const [batch, , vocabSize] = output.logits.shape as [number, number, number]
  const values = (await output.logits.data()) as Float32Array
  tf.dispose(output as unknown as tf.TensorContainer)
  return Array.from({ length: batch }, (_, i) => values.subarray(i * vocabSize, (i + 1) * vocabSize))
}
