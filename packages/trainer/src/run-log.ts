import { HeedError, tf } from '@heed/tensor-backend'
import type { DataParallel } from './data-parallel.ts'

interface PendingStep {
  step: number
  loss: tf.Scalar
  norm: tf.Scalar
}

/** Where a step went wrong. */
export interface BadPlace {
  name: string
  epoch: number
  /** Their numbers in the epoch, from 0; several where the tensor depends on all of a step. */
  batches: number[]
}

/** Losses above both are an explosion: of so many nats, and of so many times the first. */
const explodedLoss = 50
const explodedRatio = 20

/** Steps whose loss may wait unread: a read makes a GPU wait, and a NaN is found this many steps late at most. */
const maxPending = 8

/**
 * Losses and gradient norms of the steps since the last log. Scalars stay on the device until they are needed, then
 * all are read at once.
 */
export class RunLog {
  readonly #pending: PendingStep[] = []
  #firstLoss: number | undefined
  /** Of the losses since the last log. */
  lossSum = 0
  lossSteps = 0
  /** Over the whole run, for its mean. */
  totalLoss = 0
  gradNorm = 0
  tokens = 0
  #startedAt = performance.now()
  #lastPace = 0

  constructor(readonly parallel: DataParallel) {}

  /**
   * Throws HEED_NUMERIC before the weights change when loss or gradient of a step are not finite, with what `diagnose` finds. On
   * a GPU, where reading makes it wait, nothing is done: `read` finds it some steps later.
   */
  checkStep(step: number, loss: tf.Scalar, norm: tf.Scalar, diagnose: () => BadPlace | undefined): void {
    if (!readsAtOnce()) return
    for (const [what, scalar] of [['loss', loss] as const, ['the norm of the gradients', norm] as const]) {
      const value = scalar.dataSync()[0]!
      if (!Number.isFinite(value)) throw notFinite(what, value, step, diagnose())
    }
  }

  /** Takes over the scalars. Throws HEED_NUMERIC, at once or some steps later. */
  async add(step: number, loss: tf.Scalar, norm: tf.Scalar, tokens: number): Promise<void> {
    this.#pending.push({ step, loss, norm })
    this.tokens += tokens
    if (this.#pending.length >= maxPending) await this.read()
  }

  /** Reads what is pending. Throws HEED_NUMERIC naming the first step whose loss or gradient is not finite. */
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
      if (!Number.isFinite(loss)) throw notFinite('loss', loss, step)
      if (!Number.isFinite(norm)) throw notFinite('the norm of the gradients', norm, step)
      this.#checkExplosion(loss, step)
      this.lossSum += loss
      this.lossSteps += 1
      this.totalLoss += loss
      this.gradNorm = norm
    }
  }

  /** Throws HEED_NUMERIC when a loss is far from where the run began: such a model has forgotten all it knew. */
  #checkExplosion(loss: number, step: number): void {
    this.#firstLoss ??= loss
    const limit = Math.max(explodedLoss, explodedRatio * this.#firstLoss)
    if (!(loss > limit)) return
    throw new HeedError(
      'HEED_NUMERIC',
      `Trainer: loss is ${loss} at step ${step}, expected at most ${limit} after ${this.#firstLoss} at the first step. ` +
        'The training has exploded: lower learningRate, warm up longer, or set maxGradNorm.',
    )
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

function notFinite(what: string, value: number, step: number, place?: BadPlace): HeedError {
  const batches = place && (place.batches.length === 1 ? 'batch' : 'batches')
  const found = place
    ? `The first tensor that went wrong is ${place.name}, in ${batches} ${place.batches.join(', ')} of epoch ${place.epoch}. `
    : ''
  return new HeedError(
    'HEED_NUMERIC',
    `Trainer: ${what} is ${value} at step ${step}, expected a finite number. ${found}` +
      'Lower learningRate, warm up longer, or look at the data of that step.',
  )
}

/** Whether a tensor can be read without making a GPU wait. */
function readsAtOnce(): boolean {
  return tf.getBackend() !== 'webgpu'
}
