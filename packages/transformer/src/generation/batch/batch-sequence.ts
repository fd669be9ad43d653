import { Random } from '@heed/layers'
import { abortedBy } from '../aborted.ts'
import { generateOptionNames } from '../conflicts.ts'
import type { GenerateOptions, GenerationPlan } from '../plan.ts'
import type { PromptCache } from '../prompt-cache.ts'
import { argmax, sample } from '../sampling.ts'
import { type ChosenLogProb, LogProbs } from './token-log-probs.ts'

/** Options of `generate` that concern several sequences, or the whole batch. */
const otherOptions = [
  'streamer',
  'attentionMask',
  'promptCache',
  'cacheImplementation',
  'cacheDtype',
  'assistantModel',
  'promptLookupNumTokens',
  'numBeams',
  'lengthPenalty',
  'earlyStopping',
  'numReturnSequences',
  'returnDictInGenerate',
  'outputScores',
  'outputLogits',
  'onWarning',
] as const

/** Options of one sequence of a batch: those of `generate` that concern one sequence which is read as it is written. */
export interface SequenceOptions extends Omit<GenerateOptions, (typeof otherOptions)[number]> {
  /** Gives each token's log-probability, and those of so many likeliest tokens, by the model alone, before any setting. */
  topLogprobs?: number | undefined
  /** A sequence rests while its reader is so many tokens behind; 256 by default. */
  maxUnread?: number | undefined
}

export const sequenceOptionNames: readonly string[] = [
  ...generateOptionNames.filter(name => !otherOptions.some(other => other === name)),
  'topLogprobs',
  'maxUnread',
]

export interface WrittenToken {
  id: number
  /** There with `topLogprobs`. */
  logprobs?: ChosenLogProb
}

/** Why a text ended: its end or a stopping criterion came, or its greatest length. */
export type FinishReason = 'stop' | 'length'

const MAX_UNREAD = 256

/**
 * A text that a `BatchScheduler` is writing: `for await (const { id } of sequence)`. Leaving the loop ends it. It throws
 * HEED_ABORTED when its signal is aborted, and what its constraint throws.
 */
export class BatchSequence implements AsyncIterableIterator<WrittenToken> {
  readonly promptLength: number
  /** Prompt and text so far. */
  readonly ids: number[]
  /** Keys and values so far; the scheduler gives it when the sequence's turn comes. */
  cache: PromptCache | undefined
  finishReason: FinishReason | undefined
  readonly #random: Random
  readonly #unread: WrittenToken[] = []
  #error: unknown
  #isEnded = false
  #onNews: (() => void) | undefined
  readonly #onAbort = (): void => this.fail(abortedBy(this.options.signal!))

  /** `nudge` tells the scheduler that the sequence can go on, or is over. */
  constructor(
    private readonly plan: GenerationPlan,
    private readonly options: SequenceOptions,
    private readonly nudge: () => void,
  ) {
    this.ids = [...plan.prompts[0]!]
    this.promptLength = this.ids.length
    this.#random = new Random(options.seed ?? 0)
    const { signal } = options
    if (signal?.aborted) this.#onAbort()
    else signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** Whether nothing more will be written. */
  get isEnded(): boolean {
    return this.#isEnded
  }

  /** Whether its reader is too far behind. */
  get isResting(): boolean {
    return this.#unread.length >= (this.options.maxUnread ?? MAX_UNREAD)
  }

  /** Tokens that the model has not read yet: the rest of the prompt, later the last token written. */
  get unseen(): number[] {
    return this.ids.slice(this.cache?.length ?? 0)
  }

  /** Chooses the next token by logits [vocabSize], which the call may change. */
  take(logits: Float32Array): void {
    if (this.#isEnded) return
    const { processors, doSample, isComplete, maxLength } = this.plan
    const { topLogprobs } = this.options
    const logProbs = topLogprobs === undefined ? undefined : new LogProbs(logits, topLogprobs)
    for (const process of processors) process(logits, this.ids, 0)
    const id = doSample ? sample(logits, this.#random) : argmax(logits)
    this.ids.push(id)
    this.#unread.push({ id, ...(logProbs && { logprobs: { logprob: logProbs.of(id), top: logProbs.top } }) })
    if (isComplete(this.ids)) this.finishReason = 'stop'
    else if (this.ids.length >= maxLength) this.finishReason = 'length'
    if (this.finishReason) this.#end()
    else this.#tellReader()
  }

  /** Ends the sequence with an error, which its reader gets after what was written. */
  fail(error: unknown): void {
    if (this.#isEnded) return
    this.#error = error
    this.#end()
    this.nudge()
  }

  async next(): Promise<IteratorResult<WrittenToken, undefined>> {
    while (this.#unread.length === 0 && !this.#isEnded) {
      await new Promise<void>(resolve => {
        this.#onNews = resolve
      })
    }
    const wasResting = this.isResting
    const value = this.#unread.shift()
    if (wasResting) this.nudge()
    if (value) return { value, done: false }
    if (this.#error !== undefined) {
      const error = this.#error
      this.#error = undefined
      throw error
    }
    return { value: undefined, done: true }
  }

  /** Ends the sequence: nobody reads on. */
  async return(): Promise<IteratorResult<WrittenToken, undefined>> {
    this.#unread.length = 0
    this.#error = undefined
    this.#end()
    this.nudge()
    return { value: undefined, done: true }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  #end(): void {
    this.#isEnded = true
    this.options.signal?.removeEventListener('abort', this.#onAbort)
    this.#tellReader()
  }

  #tellReader(): void {
    this.#onNews?.()
    this.#onNews = undefined
  }
}
