/**
 * Continuous batching: sequences join and leave between two steps of a model, so that one pass over its weights writes a token
 * of every text under way. Yu et al. 2022 ("Orca", OSDI 22), iteration-level scheduling.
 */
import { BatchCache } from '@heed/layers'
import { checkOptionNames, HeedError, Turns, tf, withoutUndefined } from '@heed/tensor-backend'
import type { CacheOptions } from '../../cache-options.ts'
import { checkIds, flattenIds } from '../../inputs.ts'
import type { CausalLm, CausalLmInputs } from '../../model.ts'
import { evenPiece, LogitRows } from '../decoding.ts'
import { planGeneration } from '../plan.ts'
import { PromptCache } from '../prompt-cache.ts'
import { BatchSequence, type SequenceOptions, sequenceOptionNames } from './batch-sequence.ts'

export interface BatchSchedulerOptions {
  /** Sequences under way at once, the others wait their turn; 16 by default. */
  maxSequences?: number
  /** The most tokens of a prompt that are read between two steps of the others; 256 by default. A longer prompt is cut evenly. */
  prefillChunk?: number
  /** The most tokens of a prompt with its text; the model's maxPositionEmbeddings by default. */
  contextLength?: number
  /** Caches of finished texts that are kept, for prompts that begin alike; 0 by default. */
  keptCaches?: number
  /** What the cache of each text holds. */
  cacheOptions?: CacheOptions
}

/** A beginning that prompts share is worth taking over from this length on. */
const MIN_SHARED_TOKENS = 16

/** Writes many texts with one model at the same time. The caller disposes it, then the model. */
export class BatchScheduler {
  readonly #options: Required<BatchSchedulerOptions>
  readonly #logits = new LogitRows()
  #waiting: BatchSequence[] = []
  #live: BatchSequence[] = []
  #kept: PromptCache[] = [] // the last used first
  #running: Promise<void> | undefined
  #nudge: (() => void) | undefined
  #isDisposed = false

  /** Throws HEED_ARGUMENT_INVALID. */
  constructor(
    readonly model: CausalLm,
    options: BatchSchedulerOptions = {},
  ) {
    this.#options = completeOptions(options, model)
  }

  /** The most tokens of a prompt with its text. */
  get contextLength(): number {
    return this.#options.contextLength
  }

  /** Sequences under way, and those that wait for one to end. */
  get load(): { live: number; waiting: number } {
    return { live: underWay(this.#live), waiting: underWay(this.#waiting) }
  }

  /**
   * Begins a text after `prompt`, ids of tokens. Where the options say no length, it may fill the context. Throws
   * HEED_ARGUMENT_INVALID, also for a prompt that fills the context, and HEED_ID_OUT_OF_RANGE.
   */
  submit(prompt: readonly number[], options: SequenceOptions = {}): BatchSequence {
    if (this.#isDisposed) throw invalid('submit', 'called', 'no text after dispose', 'Make another scheduler.')
    checkOptionNames('BatchScheduler', options, sequenceOptionNames)
    if (prompt.length === 0)
      throw invalid('prompt', '[]', 'at least one token', 'Begin with the token that begins texts.')
    const ids = flattenIds('BatchScheduler', 'prompt', [[...prompt]])
    checkIds('BatchScheduler', 'prompt', ids, { below: this.model.config.vocabSize, boundName: 'vocabSize' })
    const room = this.contextLength - prompt.length
    if (room < 1) {
      const rule = `less than the ${this.contextLength} of the context`
      throw invalid('prompt', `${prompt.length} tokens long`, rule, 'Shorten it.')
    }
    const { maxNewTokens = this.#defaultLength(options) } = options
    const single = { numBeams: 1, numReturnSequences: 1 }
    const limits = { maxNewTokens: Math.min(maxNewTokens, room), ...single }
    const plan = planGeneration(this.model, [[...prompt]], { ...options, ...limits })
    const sequence = new BatchSequence({ ...plan, maxLength: prompt.length + limits.maxNewTokens }, options, () =>
      this.#nudge?.(),
    )
    this.#waiting.push(sequence)
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
    })
    this.#nudge?.()
    return sequence
  }

  /** Ends what is under way with HEED_ABORTED, and frees the caches. */
  async dispose(): Promise<void> {
    this.#isDisposed = true
    const error = new HeedError('HEED_ABORTED', 'BatchScheduler: it was disposed of, expected it to last.')
    for (const sequence of [...this.#live, ...this.#waiting]) sequence.fail(error)
    await this.#running
    for (const cache of this.#kept) cache.dispose()
    this.#kept = []
  }

  #defaultLength({ maxLength }: SequenceOptions): number {
    const settings = this.model.generationConfig
    return maxLength === undefined ? (settings.maxNewTokens ?? Number.MAX_SAFE_INTEGER) : maxLength
  }

  async #run(): Promise<void> {
    const turns = new Turns()
    await Promise.resolve() // `submit` returns before the first step
    for (;;) {
      this.#leave()
      this.#join()
      if (this.#live.length === 0) return
      const reading = this.#live.find(sequence => sequence.unseen.length > 1)
      if (reading) await this.#guarded([reading], () => this.#read(reading))
      const writing = this.#live.filter(
        sequence => !sequence.isEnded && !sequence.isResting && sequence.unseen.length === 1,
      )
      if (writing.length > 0) await this.#guarded(writing, () => this.#write(writing))
      if (!reading && writing.length === 0) await this.#pause()
      await turns.next()
    }
  }

  /** A step that fails ends the sequences that took part. */
  async #guarded(sequences: readonly BatchSequence[], step: () => Promise<void>): Promise<void> {
    try {
      await step()
    } catch (error) {
      for (const sequence of sequences) sequence.fail(error)
    }
  }

  /** Until a reader catches up, a sequence ends, or one comes. */
  async #pause(): Promise<void> {
    if (this.#live.some(sequence => sequence.isEnded || !sequence.isResting)) return
    await new Promise<void>(resolve => {
      this.#nudge = resolve
    })
    this.#nudge = undefined
  }

  #leave(): void {
    this.#waiting = this.#waiting.filter(sequence => !sequence.isEnded)
    for (const { isEnded, cache } of this.#live) if (isEnded && cache) this.#kept.unshift(cache)
    this.#live = this.#live.filter(sequence => !sequence.isEnded)
    for (const cache of this.#kept.splice(this.#options.keptCaches)) cache.dispose()
  }

  #join(): void {
    while (this.#waiting.length > 0 && this.#live.length < this.#options.maxSequences) {
      const sequence = this.#waiting.shift()!
      sequence.cache = this.#takeKept(sequence.ids) ?? new PromptCache(this.model, this.#options.cacheOptions)
      sequence.cache.keepBeginningOf(sequence.ids)
      this.#live.push(sequence)
    }
  }

  /** The kept cache that shares most with a prompt. */
  #takeKept(prompt: readonly number[]): PromptCache | undefined {
    const shared = this.#kept.map(cache => cache.sharedWith(prompt))
    const most = Math.max(0, ...shared)
    return most < MIN_SHARED_TOKENS ? undefined : this.#kept.splice(shared.indexOf(most), 1)[0]
  }

  /** Reads on in a prompt; at its end comes the first token. */
  async #read(sequence: BatchSequence): Promise<void> {
    const unseen = sequence.unseen
    const chunk = unseen.slice(0, evenPiece(unseen.length, this.#options.prefillChunk))
    const { cache } = sequence
    const textLength = sequence.ids.length
    const output = this.model.forward({ inputIds: [chunk], cache: cache!.cache, textLength, logitsToKeep: 1 })
    cache!.record(chunk, textLength)
    if (chunk.length < unseen.length) tf.dispose(output)
    else sequence.take((await this.#logits.read(output))[0]!)
  }

  /** The next token of each sequence, by one pass. */
  async #write(sequences: readonly BatchSequence[]): Promise<void> {
    const caches = sequences.map(({ cache }) => cache!)
    const inputIds = sequences.map(({ unseen }) => unseen)
    const rows = await this.#logits.read(this.model.forward({ inputIds, ...this.#pastOf(caches), logitsToKeep: 1 }))
    for (const [i, sequence] of sequences.entries()) {
      caches[i]!.record(inputIds[i]!, caches[i]!.length + 1)
      await this.#guarded([sequence], async () => sequence.take(rows[i]!))
    }
  }

  /** What a pass is told of the tokens before: one sequence alone goes on in its own cache, where steps are recorded. */
  #pastOf(caches: readonly PromptCache[]): Pick<CausalLmInputs, 'cache' | 'positionIds' | 'textLength'> {
    const [first, ...others] = caches
    if (others.length === 0) return { cache: first!.cache, textLength: first!.length + 1 }
    return {
      cache: new BatchCache(caches.map(({ cache }) => cache)),
      positionIds: caches.map(({ length }) => [length]),
    }
  }
}

/** Every option, by default as this says where it is not given. Throws HEED_ARGUMENT_INVALID. */
function completeOptions(options: BatchSchedulerOptions, model: CausalLm): Required<BatchSchedulerOptions> {
  const { maxPositionEmbeddings } = model.config as { maxPositionEmbeddings?: number }
  const defaults: Required<BatchSchedulerOptions> = {
    maxSequences: 16,
    prefillChunk: 256,
    contextLength: maxPositionEmbeddings ?? Number.POSITIVE_INFINITY,
    keptCaches: 0,
    cacheOptions: {},
  }
  checkOptionNames('BatchScheduler', options, Object.keys(defaults))
  const given: object = withoutUndefined(options)
  for (const [name, value] of Object.entries(given)) {
    const least = name === 'keptCaches' ? 0 : 1
    if (name === 'cacheOptions' || (Number.isInteger(value) && value >= least)) continue
    throw invalid(name, value, `a whole number of at least ${least}`, 'Change it or leave it out.')
  }
  return { ...defaults, ...given }
}

const underWay = (sequences: readonly BatchSequence[]): number => sequences.filter(({ isEnded }) => !isEnded).length

function invalid(name: string, value: unknown, rule: string, mend: string): HeedError {
  return new HeedError('HEED_ARGUMENT_INVALID', `BatchScheduler: ${name} is ${value}, expected ${rule}. ${mend}`)
}
