import { tf } from '@heed/tensor-backend'
import type { DataParallel } from './data-parallel.ts'
import type { StepGuard } from './step-guard.ts'

interface PendingStep {
  step: number
  loss: tf.Scalar
  norm: tf.Scalar
}

/** Steps whose loss may wait unread: a read makes a GPU wait, and a NaN is found this many steps late at most. */
const maxPending = 8

/**
 * Losses and gradient norms of the steps since the last log. Scalars stay on the device until they are needed, then
 * all are read at once.
 */
export class RunLog {
  readonly #pending: PendingStep[] = []
  /** Of the losses since the last log. */
  lossSum = 0
  lossSteps = 0
  /** Over the whole run, for its mean. */
  totalLoss = 0
  gradNorm = 0
  tokens = 0
  #startedAt = performance.now()
  #lastPace = 0

  constructor(
    readonly parallel: DataParallel,
    readonly guard: StepGuard,
  ) {}

  /** Takes over the scalars. Throws HEED_NUMERIC, at once or some steps later. */
  async add(step: number, loss: tf.Scalar, norm: tf.Scalar, tokens: number): Promise<void> {
    this.#pending.push({ step, loss, norm })
    this.tokens += tokens
    if (this.#pending.length >= maxPending) await this.read()
  }

  /** Reads what is pending. Throws HEED_NUMERIC naming the first step that `StepGuard` refuses. */
  async read(): Promise<void> {
    if (this.#pending.length === 0) return
    const steps = this.#pending.splice(0)
    const scalars = steps.flatMap(({ loss, norm }) => [loss, norm])
    const stacked = tf.stack(scalars)
    const values = await stacked.data()
    tf.dispose([stacked, ...scalars])
    const losses = this.parallel.sum(steps.map((_, index) => values[2 * index]!)) // each process has a part of a loss
    for (const [index, { step }] of steps.entries()) {
      const [loss, norm] = [losses[index]!, values[2 * index + 1]!]
      this.guard.checkNumbers(step, loss, norm)
      this.lossSum += loss
      this.lossSteps += 1
      this.totalLoss += loss
      this.gradNorm = norm
    }
  }

  /** Takes time that was not training, of an evaluation or a save, out of the pace. */
  skip(milliseconds: number): void {
    this.#startedAt += milliseconds
  }

  /** Since the last log; at a log and right after, up to it. */
  get tokensPerSecond(): number {
    if (this.tokens === 0) return this.#lastPace
    return this.tokens / Math.max(1e-9, (performance.now() - this.#startedAt) / 1000)
  }

  /** The mean loss since the last log, and a new beginning. */
  takeLoss(): number {
    const mean = this.lossSum / Math.max(1, this.lossSteps)
    this.#lastPace = this.tokensPerSecond
    this.lossSum = 0
    this.lossSteps = 0
    this.tokens = 0
    this.#startedAt = performance.now()
    return mean
  }

  dispose(): void {
    for (const { loss, norm } of this.#pending.splice(0)) tf.dispose([loss, norm])
  }
}
