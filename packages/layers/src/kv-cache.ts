import {
  type AttentionOptions,
  type CachedSequence,
  checkOptionNames,
  HeedError,
  packedAttention,
  packRows,
  packsRows,
  type RowPacking,
  StepProgram,
  tf,
  trimMemorySoon,
  uninitialized,
  unpackRows,
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

/** Positions beyond its window that a layer holds at most, so that a few can be taken back and buffers seldom move. */
const MAX_SPARE = 128

/** How keys and values are held: 16 bits take half the memory of float32, 8 bits (ggml's Q8_0) a bit more than a quarter. */
export type CacheDtype = 'float32' | RowPacking

export interface LayerCacheOptions {
  /** Positions to make room for at first; buffers double when they are full. */
  capacity: number
  /** How many positions back queries look: older ones are given up. All are held without it. */
  slidingWindow?: number | undefined
  /** float32 by default, and always on backends other than native and wasm. */
  dtype?: CacheDtype | undefined
}

/** Keys and values of one attention layer, in buffers with room to grow: appending copies only what is new. */
export class LayerCache implements AttentionCache {
  readonly slidingWindow: number
  readonly #packing: RowPacking | undefined
  /** Rows that are left when older ones are given up, and the most that the buffers have. */
  readonly #keptRows: number
  readonly #maxRows: number
  readonly #initialCapacity: number
  #keys: tf.Variable | undefined // [batch, capacity, numKeyValueHeads, headDim], or words of packed rows
  #values: tf.Variable | undefined
  #rows = 0 // how many are filled
  #first = 0 // position of row 0

  constructor({ capacity, slidingWindow = Number.POSITIVE_INFINITY, dtype = 'float32' }: LayerCacheOptions) {
    this.#packing = dtype !== 'float32' && packsRows() ? dtype : undefined
    const spare = Math.min(MAX_SPARE, Math.ceil(slidingWindow / 8))
    this.slidingWindow = slidingWindow
    this.#initialCapacity = capacity
    this.#keptRows = slidingWindow - 1 + spare
    this.#maxRows = this.#keptRows + spare
  }

  /** Positions taken in, among them those that were given up since. */
  get length(): number {
    return this.#first + this.#rows
  }

  /** Positions held: the last ones. */
  get numHeld(): number {
    return this.#rows
  }

  /** Whether the buffers hold packed rows. */
  get isPacked(): boolean {
    return this.#packing !== undefined
  }

  /** The buffers, of which the first `numHeld` rows are filled. */
  get tensors(): readonly [keys: tf.Tensor, values: tf.Tensor] {
    return [this.#keys!, this.#values!]
  }

  /** k, v: [batch, newLen, numKeyValueHeads, headDim]. Throws HEED_SHAPE_MISMATCH. */
  append(k: tf.Tensor, v: tf.Tensor): void {
    tf.tidy(() => this.#write(...this.#asHeld(k, v)))
  }

  /** The buffers of one sequence with room for the next of its positions, which `advance` counts when a kernel wrote it. */
  next(k: tf.Tensor, v: tf.Tensor, step: AttentionStep): CachedSequence {
    this.#checkWindow(step)
    this.#makeRoom(1, k, v, 1)
    return { keys: this.#keys!, values: this.#values!, length: this.#rows }
  }

  /**
   * `append`, then `attend` over all positions that the queries see. A bias, a mask, and weights that are recorded, lose their
   * first columns with the positions given up. Throws HEED_ARGUMENT_INVALID when the step's window is longer than the cache's.
   */
  attend(...[q, k, v, step, options]: Parameters<AttentionCache['attend']>): tf.Tensor {
    this.#checkWindow(step)
    return tf.tidy(() => {
      const count = k.shape[1]!
      const [newKeys, newValues] = this.#asHeld(k, v)
      if (this.#rows + count <= this.#maxRows || this.#keptRows - count >= this.slidingWindow - 1) {
        this.#write(newKeys, newValues)
        return this.attendHeld(q, step, options)
      }
      // More than the buffers keep beside the window: the queries look at a copy that goes when they have.
      const seen = Math.min(this.#rows, this.slidingWindow - 1)
      const withOld = (buffer: tf.Tensor | undefined, rows: tf.Tensor): tf.Tensor =>
        seen > 0 ? tf.concat([tf.slice(buffer!, [0, this.#rows - seen], [-1, seen]), rows], 1) : rows
      const [keys, values] = [withOld(this.#keys, newKeys), withOld(this.#values, newValues)]
      this.#write(newKeys, newValues)
      return this.#attendTo(q, keys, values, seen + count, step, options)
    })
  }

  /** `attend` over what is held, without more. */
  attendHeld(
    q: tf.Tensor,
    step: AttentionStep,
    options: Pick<AttentionOptions, 'dropout' | 'scale' | 'softcap'>,
  ): tf.Tensor {
    return this.#attendTo(q, ...this.tensors, this.#rows, step, options)
  }

  /** Whether `count` more positions fit in the buffers as they are. */
  hasRoom(count: number): boolean {
    return this.#rows + count <= this.#capacity
  }

  /** Counts positions that a kernel wrote. */
  advance(count: number): void {
    this.#rows += count
  }

  /** How many positions `truncate` leaves of the first `length`: none where one was given up that the next query would see. */
  usable(length: number): number {
    const left = Math.min(length, this.length)
    return this.#first <= Math.max(0, left - this.slidingWindow + 1) ? left : 0
  }

  /** Keeps only the first `length` positions, as far as they are `usable`. */
  truncate(length: number): void {
    const left = this.usable(length)
    if (left === 0 && this.#first > 0) this.dispose()
    else this.#rows = left - this.#first
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
    this.#rows = 0
    this.#first = 0
  }

  #attendTo(
    q: tf.Tensor,
    keys: tf.Tensor,
    values: tf.Tensor,
    keyLen: number,
    step: AttentionStep,
    options: Pick<AttentionOptions, 'dropout' | 'scale' | 'softcap'>,
  ): tf.Tensor {
    const packing = this.#packing
    return tf.tidy(() => {
      const all = { ...lastColumns(step, keyLen, this.length), keyLen, ...options }
      if (!packing) return attend(q, keys, values, all)
      if (!step.weights) return packedAttention(q, keys, values, packing, all)
      const [k, v] = [keys, values].map(rows => unpackRows(rows, packing, q.shape[3]!))
      return attend(q, k!, v!, all)
    })
  }

  /** Rows as the buffers hold them. */
  #asHeld(k: tf.Tensor, v: tf.Tensor): [keys: tf.Tensor, values: tf.Tensor] {
    return this.#packing ? [packRows(k, this.#packing), packRows(v, this.#packing)] : [k, v]
  }

  #write(keys: tf.Tensor, values: tf.Tensor): void {
    const count = keys.shape[1]!
    this.#makeRoom(count, keys, values)
    const written = count <= this.#maxRows ? count : this.#keptRows
    writeRows(this.#keys!, lastRows(keys, written), this.#rows)
    writeRows(this.#values!, lastRows(values, written), this.#rows)
    this.#rows += written
    this.#first += count - written
  }

  get #capacity(): number {
    return this.#keys?.shape[1] ?? 0
  }

  /** Buffers with room for `count` rows: larger ones, or ones without the oldest rows. A move always makes new buffers. */
  #makeRoom(count: number, k: tf.Tensor, v: tf.Tensor, batch: number = k.shape[0]!): void {
    const needed = this.#rows + count
    if (needed <= this.#capacity) return
    const kept = needed <= this.#maxRows ? this.#rows : Math.max(0, Math.min(this.#rows, this.#keptRows - count))
    const room = Math.max(kept + count, this.#keys ? 2 * this.#capacity : this.#initialCapacity)
    const capacity = Math.min(this.#maxRows, room)
    this.#keys = this.#moved(this.#keys, kept, [batch, capacity, ...k.shape.slice(2)])
    this.#values = this.#moved(this.#values, kept, [batch, capacity, ...v.shape.slice(2)])
    this.#first += this.#rows - kept
    this.#rows = kept
  }

  #replace(buffer: tf.Variable, content: tf.Tensor): void {
    const replacement = tf.variable(content, false)
    if (buffer === this.#keys) this.#keys = replacement
    else this.#values = replacement
    buffer.dispose()
  }

  /** A buffer that begins with the last `kept` rows of the old one, which is disposed of; nothing reads the rows to come. */
  #moved(old: tf.Variable | undefined, kept: number, shape: number[]): tf.Variable {
    const empty = uninitialized(shape, this.#packing ? 'int32' : 'float32')
    const moved = tf.variable(empty, false)
    empty.dispose()
    if (old && kept > 0) {
      tf.tidy(() => writeRows(moved, kept === this.#rows ? old : tf.slice(old, [0, this.#rows - kept], [-1, kept]), 0))
    }
    old?.dispose()
    return moved
  }

  #checkWindow({ slidingWindow = Number.POSITIVE_INFINITY }: AttentionStep): void {
    if (slidingWindow <= this.slidingWindow) return
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `LayerCache.attend: slidingWindow is ${slidingWindow}, expected at most the ${this.slidingWindow} of the cache. ` +
        'Give the KvCache the window of each layer.',
    )
  }
}

/** The last `count` rows of [batch, rows, numHeads, headDim]. */
function lastRows(x: tf.Tensor, count: number): tf.Tensor {
  const rows = x.shape[1]!
  return count === rows ? x : tf.slice(x, [0, rows - count], [-1, count])
}

/** A step whose bias and mask are of the last `keyLen` positions; they come for all `length` positions. */
function lastColumns(step: AttentionStep, keyLen: number, length: number): AttentionStep {
  const { bias, keyPaddingMask } = step
  if (keyLen === length) return step
  return {
    ...step,
    ...(bias && { bias: tf.slice(bias, [0, 0, 0, length - keyLen], [-1, -1, -1, keyLen]) }),
    ...(keyPaddingMask && { keyPaddingMask: tf.slice(keyPaddingMask, [0, length - keyLen], [-1, keyLen]) }),
  }
}

/** Smallest buffer: growing from 64 positions to a context of 8,192 copies seven times. */
const INITIAL_CAPACITY = 64

export interface KvCacheOptions {
  /** How many positions to make room for at first, 64 by default; buffers double when they are full. */
  capacity?: number | undefined
  /** How many positions back each layer looks: it holds no more than these and a few to spare. Null where it looks at all. */
  slidingWindows?: readonly (number | null)[] | undefined
  /** How they are held; float32 by default. */
  dtype?: CacheDtype | undefined
}

/** The key-value cache of a model: one `LayerCache` a layer, all of the same length. The caller disposes it. */
export class KvCache {
  readonly layers: readonly LayerCache[]
  readonly #program = new StepProgram()
  #isSettled = false

  /** Throws HEED_ARGUMENT_INVALID. */
  constructor(numLayers: number, options: KvCacheOptions = {}) {
    checkOptionNames('KvCache', options, ['capacity', 'slidingWindows', 'dtype'] satisfies (keyof KvCacheOptions)[])
    const { capacity = INITIAL_CAPACITY, slidingWindows, dtype } = options
    const layer = (i: number): LayerCache =>
      new LayerCache({ capacity, slidingWindow: slidingWindows?.[i] ?? undefined, dtype })
    this.layers = Array.from({ length: numLayers }, (_, i) => layer(i))
  }

  /** Positions taken in. */
  get length(): number {
    return this.layers[0]?.length ?? 0
  }

  /**
   * The next token: the result of `compute`, which appends one position of each row to the cache. After two calls it is made
   * again without running `compute`, which must depend on the model, the inputs and the cache alone.
   */
  step(model: Module, inputs: readonly tf.Tensor[], compute: () => tf.Tensor): tf.Tensor {
    this.#isSettled ||= Array.from(model.quantizedWeights()).every(([, weight]) => weight.isSettled)
    if (!this.#isSettled || !this.layers.every(layer => layer.hasRoom(1))) {
      this.#program.reset() // it would write into buffers that are about to go, or read weights from a file
      return compute()
    }
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
    this.#isSettled = false
    this.#program.reset()
  }

  /** How many positions `truncate` would leave. */
  usable(length: number): number {
    return this.layers.every(layer => layer.usable(length) === length) ? length : 0
  }

  /**
   * Forgets all positions from `length` on and gives how many are left: `length`, or 0 when a layer with a window has given up
   * positions that the next query would see, so that the text must be read again. Throws HEED_ARGUMENT_INVALID.
   */
  truncate(length: number): number {
    if (!(Number.isInteger(length) && length >= 0 && length <= this.length)) {
      throw new HeedError(
        'HEED_ARGUMENT_INVALID',
        `KvCache.truncate: length is ${length}, expected a whole number from 0 to the ${this.length} positions held.`,
      )
    }
    const left = this.usable(length)
    for (const layer of this.layers) layer.truncate(left)
    return left
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
    trimMemorySoon()
  }
}
