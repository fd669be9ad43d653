import { hidesKeys, type KvCache, positionsFromMask } from '@heed/layers'
import { readInto, Turns, tf, trimMemory } from '@heed/tensor-backend'
import type { CacheOptions } from '../cache-options.ts'
import type { CausalLm, CausalLmOutput } from '../model.ts'
import type { Seq2SeqCache, Seq2SeqLm } from '../seq2seq.ts'
import { checkAborted } from './aborted.ts'
import type { PromptCache } from './prompt-cache.ts'

/** One generation under way: what a model keeps between tokens. */
export interface Decoding {
  /** Appends tokens to each sequence and gives the logits after the last one, or after each of the last `logitsToKeep`: rows of vocabSize, which hold until the next step. */
  step(tokens: readonly (readonly number[])[], logitsToKeep?: number): Promise<Float32Array[]>
  /** Forgets all tokens from `length` on and gives how many are left, `length` or none: those must come again with the next step. */
  truncate(length: number): number
  /** The longest text whose tokens can be computed with one of `textLength` tokens at once as if one by one. */
  sameAnglesUpTo(textLength: number): number
  /** Row i goes on from what row rows[i] was. */
  reorder(rows: readonly number[]): void
  dispose(): void
}

/** Tokens of a prompt that go through a model at once: enough to fill the processor, few enough that a long prompt takes little memory. */
const PREFILL_CHUNK = 256
const PREFILL_CHUNK_OF_WIDE = 128

/** Into how many tokens at once to cut `count`, `most` at most, so that pieces of one size take the same memory one after another. */
export function evenPiece(count: number, most: number): number {
  return Math.ceil(count / Math.max(1, Math.ceil(count / most)))
}

/** Whether what a piece of a prompt takes matters beside the weights, and the time to get it back hardly beside the rest. */
function isWide({ config }: CausalLm): boolean {
  const { hiddenSize = 0 } = config as { hiddenSize?: number }
  return hiddenSize >= 2048
}

export interface CausalDecodingOptions extends CacheOptions {
  onWarning?: ((message: string) => void) | undefined
  /** Looked at between the pieces of a long prompt. */
  signal?: AbortSignal | undefined
}

/** Decoding with a causal language model and its key-value cache; left padding is masked and not counted in positions. */
export class CausalDecoding implements Decoding {
  readonly #cache: KvCache
  #mask: number[][] | undefined // of all tokens so far; undefined while nothing is hidden

  readonly #turns = new Turns()
  readonly #logits = new LogitRows()
  readonly #onWarning: (message: string) => void
  readonly #signal: AbortSignal | undefined
  #isWarned = false
  #held: number // tokens of the prompt that the cache holds already

  /** attentionMask: of the prompts. `capacity`: how many tokens to make room for at first. `promptCache` holds a beginning of the prompt. */
  constructor(
    private readonly model: CausalLm,
    attentionMask: readonly (readonly number[])[] | undefined,
    capacity: number,
    private readonly promptCache?: PromptCache | undefined,
    { onWarning = console.warn, signal, ...cacheOptions }: CausalDecodingOptions = {},
  ) {
    this.#onWarning = onWarning
    this.#signal = signal
    this.#cache = promptCache?.cache ?? model.createCache(capacity, cacheOptions)
    this.#cache.forgetSteps()
    this.#held = this.#cache.length
    if (attentionMask && hidesKeys(attentionMask)) this.#mask = attentionMask.map(row => [...row])
  }

  async step(tokens: readonly (readonly number[])[], logitsToKeep = 1): Promise<Float32Array[]> {
    const inputIds = tokens.map(row => row.slice(this.#held))
    const count = inputIds[0]!.length
    this.#held = 0
    this.#warnBeyond(this.#cache.length + count)
    for (const row of this.#mask ?? []) while (row.length < this.#cache.length + count) row.push(1)
    const isOfWide = isWide(this.model)
    const size = evenPiece(count - logitsToKeep, isOfWide ? PREFILL_CHUNK_OF_WIDE : PREFILL_CHUNK)
    let begin = 0
    for (; count - begin > size + logitsToKeep; begin += size) {
      tf.dispose(this.#forward(inputIds, begin, begin + size, 1))
      await this.#turns.next()
      checkAborted(this.#signal)
    }
    const rows = await this.#logits.read(this.#forward(inputIds, begin, count, logitsToKeep))
    if (begin > 0 && isOfWide) trimMemory() // what a long prompt took is not kept beside the text
    return rows
  }

  /** Tokens begin to end - 1 of each row. */
  #forward(inputIds: readonly number[][], begin: number, end: number, logitsToKeep: number): CausalLmOutput {
    const past = this.#cache.length
    const mask = this.#mask?.map(row => row.slice(0, past + end - begin))
    const textLength = this.#mask ? longestText(this.#mask) : past + inputIds[0]!.length - begin
    const output = this.model.forward({
      inputIds: inputIds.map(row => row.slice(begin, end)),
      ...(mask && { attentionMask: mask, positionIds: positionsFromMask(mask).map(row => row.slice(past)) }),
      textLength,
      cache: this.#cache,
      logitsToKeep,
    })
    this.promptCache?.record(inputIds[0]!.slice(begin, end), textLength)
    return output
  }

  #warnBeyond(length: number): void {
    const { maxPositionEmbeddings: trained } = this.model.config as { maxPositionEmbeddings?: number }
    if (this.#isWarned || trained === undefined || length <= trained) return
    this.#isWarned = true
    this.#onWarning(
      `generate: the text has ${length} tokens, but the model was trained on ${trained} (maxPositionEmbeddings), so that what it ` +
        'writes from here on may make no sense. Shorten the text, or load the model with config: { rope_scaling } to stretch its positions.',
    )
  }

  truncate(length: number): number {
    for (const row of this.#mask ?? []) row.length = length
    return (this.promptCache ?? this.#cache).truncate(length)
  }

  sameAnglesUpTo(textLength: number): number {
    const hidden = this.#mask ? this.#mask[0]!.length - longestText(this.#mask) : 0
    return this.model.sameAnglesUpTo(textLength - hidden) + hidden
  }

  reorder(rows: readonly number[]): void {
    this.#cache.reorder(rows)
    if (this.#mask) this.#mask = rows.map(row => [...this.#mask![row]!])
  }

  dispose(): void {
    if (!this.promptCache) this.#cache.dispose()
  }
}

/** Tokens of the row that hides the fewest. */
function longestText(mask: readonly (readonly number[])[]): number {
  return Math.max(...mask.map(row => row.reduce((sum, value) => sum + value, 0)))
}

/** Decoding with an encoder-decoder model: the source is encoded once. */
export class Seq2SeqDecoding implements Decoding {
  readonly #cache: Seq2SeqCache
  readonly #logits = new LogitRows()
  #memory: tf.Tensor
  /** Of which prompt each row is. */
  #prompts: readonly number[]

  /** `capacity`: how many tokens to make room for at first. */
  constructor(
    private readonly model: Seq2SeqLm,
    sources: readonly (readonly number[])[],
    private attentionMask: readonly (readonly number[])[] | undefined,
    capacity: number,
    cacheOptions: CacheOptions = {},
  ) {
    const { lastHiddenState } = model.encode({ inputIds: sources, attentionMask })
    this.#memory = lastHiddenState
    this.#prompts = [...sources.keys()]
    this.#cache = model.createCache(capacity, cacheOptions)
  }

  async step(tokens: readonly (readonly number[])[], logitsToKeep = 1): Promise<Float32Array[]> {
    const output = this.model.decode({
      inputIds: tokens,
      memory: this.#memory,
      memoryMask: this.attentionMask,
      cache: this.#cache,
      logitsToKeep,
    })
    return this.#logits.read(output)
  }

  truncate(length: number): number {
    return this.#cache.self.truncate(length)
  }

  sameAnglesUpTo(): number {
    return Number.POSITIVE_INFINITY
  }

  reorder(rows: readonly number[]): void {
    this.#cache.self.reorder(rows)
    const prompts = rows.map(row => this.#prompts[row]!)
    if (prompts.join() === this.#prompts.join()) return // the same sources: beams of one prompt changed places
    this.#cache.cross.reorder(rows)
    this.attentionMask &&= rows.map(row => this.attentionMask![row]!)
    const memory = tf.tidy(() => tf.gather(this.#memory, tf.tensor1d([...rows], 'int32')))
    this.#memory.dispose()
    this.#memory = memory
    this.#prompts = prompts
  }

  dispose(): void {
    this.#cache.dispose()
    this.#memory.dispose()
  }
}

/** Reads logits [batch, seqLen, vocabSize], a row for each sequence and position, always into the same memory. */
export class LogitRows {
  #values = new Float32Array()

  /** Disposes of the output. Rows hold until the next call. */
  async read(output: CausalLmOutput): Promise<Float32Array[]> {
    const { shape, size } = output.logits
    const [batch, seqLen, vocabSize] = shape as [number, number, number]
    if (this.#values.length !== size) this.#values = new Float32Array(size)
    const values = this.#values
    await readInto(output.logits, values)
    tf.dispose(output)
    return Array.from({ length: batch * seqLen }, (_, i) => values.subarray(i * vocabSize, (i + 1) * vocabSize))
  }
}
