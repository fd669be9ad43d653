import {
  type AttentionOptions,
  type CachedSequence,
  HeedError,
  lazyZeros,
  StepProgram,
  tf,
  writeRows,
} from '@heed/tensor-backend'
import { type AttentionStep, attend } from './attention.ts'
import type { Module } from './module.ts'

/** What one attention layer keeps of earlier positions: of one batch (`LayerCache`), or of sequences apart (`BatchLayerCache`). */
export interface AttentionCache {
  /** Takes in k and v and gives `attend` of q over all that is held. Shapes and errors as of `attend`. */
  attend(
    q: tf.Tensor,
    k: tf.Tensor,
    v: tf.Tensor,
    step: AttentionStep,
    options: Pick<AttentionOptions, 'dropout' | 'scale' | 'softcap'>,
  ): tf.Tensor
}

/** Keys and values of one attention layer, in buffers with room to grow: appending copies only what is new. */
export class LayerCache implements AttentionCache {
  #keys: tf.Variable | undefined // [batch, capacity, numKeyValueHeads, headDim]
  #values: tf.Variable | undefined
  #length = 0

  constructor(private readonly initialCapacity: number) {}

  /** Positions held. */
  get length(): number {
    return this.#length
  }

  /** The buffers, of which the first `length` rows are filled. */
  get tensors(): readonly [keys: tf.Tensor, values: tf.Tensor] {
    return [this.#keys!, this.#values!]
  }

  /** k, v: [batch, newLen, numKeyValueHeads, headDim] -> the buffers; the first `length` rows are filled. Throws HEED_SHAPE_MISMATCH. */
  append(k: tf.Tensor, v: tf.Tensor): readonly [keys: tf.Tensor, values: tf.Tensor] {
    const length = this.#length + k.shape[1]!
    this.#reserve(k.shape[0]!, length, k, v)
    writeRows(this.#keys!, k, this.#length)
    writeRows(this.#values!, v, this.#length)
    this.#length = length
    return this.tensors
  }

  /** The buffers of one sequence with room for the next of its positions, which `advance` counts when a kernel wrote it. */
  next(k: tf.Tensor, v: tf.Tensor): CachedSequence {
    this.#reserve(1, this.#length + 1, k, v)
    return { keys: this.#keys!, values: this.#values!, length: this.#length }
  }

  /** `append`, then `attend` over all positions held. */
  attend(...[q, k, v, step, options]: Parameters<AttentionCache['attend']>): tf.Tensor {
    const [keys, values] = this.append(k, v)
    return attend(q, keys, values, { ...step, keyLen: this.#length, ...options })
  }

  /** Whether `count` more positions fit in the buffers as they are. */
  hasRoom(count: number): boolean {
    return this.#length + count <= (this.#keys?.shape[1] ?? 0)
  }

  /** Counts positions that a kernel wrote. */
  advance(count: number): void {
    this.#length += count
  }

  /** Keeps only the first `length` positions. */
  truncate(length: number): void {
    this.#length = Math.min(length, this.#length)
  }

  /** Row i of the batch becomes what row rows[i] was: how beams change places. */
  reorder(rows: tf.Tensor1D): void {
    for (const buffer of [this.#keys, this.#values]) {
      if (!buffer) continue
      const reordered = tf.gather(buffer, rows)
      if (reordered.shape[0] === buffer.shape[0]) buffer.assign(reordered)
      else this.#replace(buffer, reordered)
      reordered.dispose()
    }
  }

  dispose(): void {
    this.#keys?.dispose()
    this.#values?.dispose()
    this.#keys = undefined
    this.#values = undefined
    this.#length = 0
  }

  #reserve(batch: number, length: number, k: tf.Tensor, v: tf.Tensor): void {
    if (length <= (this.#keys?.shape[1] ?? 0)) return
    const capacity = Math.max(length, this.#keys ? 2 * this.#keys.shape[1]! : this.initialCapacity)
    this.#keys = this.#withCapacity(this.#keys, [batch, capacity, ...k.shape.slice(2)])
    this.#values = this.#withCapacity(this.#values, [batch, capacity, ...v.shape.slice(2)])
  }

  #replace(buffer: tf.Variable, content: tf.Tensor): void {
    const replacement = tf.variable(content, false)
    if (buffer === this.#keys) this.#keys = replacement
    else this.#values = replacement
    buffer.dispose()
  }

  #withCapacity(old: tf.Variable | undefined, shape: number[]): tf.Variable {
    const empty = lazyZeros(shape)
    const grown = tf.variable(empty, false)
    empty.dispose()
    if (old) {
      writeRows(grown, old, 0)
      old.dispose()
    }
    return grown
  }
}

/** Smallest buffer: growing from 64 positions to a context of 8,192 copies seven times. */
const INITIAL_CAPACITY = 64

/** The key-value cache of a model: one `LayerCache` a layer, all of the same length. The caller disposes it. */
export class KvCache {
  readonly layers: readonly LayerCache[]
  readonly #program = new StepProgram()

  /** `capacity` is how many positions to make room for at first; buffers double when they are full. */
  constructor(numLayers: number, { capacity = INITIAL_CAPACITY }: { capacity?: number } = {}) {
    this.layers = Array.from({ length: numLayers }, () => new LayerCache(capacity))
  }

  /** Positions held. */
  get length(): number {
    return this.layers[0]?.length ?? 0
  }

  /**
   * The next token: the result of `compute`, which appends one position of each row to the cache. After two calls it is made
   * again without running `compute`, which must depend on the model, the inputs and the cache alone.
   */
  step(model: Module, inputs: readonly tf.Tensor[], compute: () => tf.Tensor): tf.Tensor {
    if (!this.layers.every(layer => layer.hasRoom(1))) return compute()
    const state = (): tf.Tensor[] => {
      const weights = Array.from(model.quantizedWeights(), ([, { data }]) => data)
      return [...this.layers.flatMap(layer => layer.tensors), ...model.parameters(), ...weights]
    }
    const { result, isReplayed } = this.#program.run({ inputs, position: this.length, state, compute })
    if (isReplayed) for (const layer of this.layers) layer.advance(1)
    return result
  }

  /** Lets the next calls of `step` look at the model anew, as before each generation. */
  forgetSteps(): void {
    this.#program.reset()
  }

  /** Forgets all positions from `length` on. Throws HEED_ARGUMENT_INVALID. */
  truncate(length: number): void {
    if (!(Number.isInteger(length) && length >= 0 && length <= this.length)) {
      throw new HeedError(
        'HEED_ARGUMENT_INVALID',
        `KvCache.truncate: length is ${length}, expected a whole number from 0 to the ${this.length} positions held.`,
      )
    }
    for (const layer of this.layers) layer.truncate(length)
  }

  /** Row i of the batch becomes what row rows[i] was. */
  reorder(rows: readonly number[]): void {
    const indices = tf.tensor1d([...rows], 'int32')
    for (const layer of this.layers) layer.reorder(indices)
    indices.dispose()
  }

  dispose(): void {
    this.#program.dispose()
    for (const layer of this.layers) layer.dispose()
  }
}
