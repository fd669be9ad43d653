import { HeedError, tf } from '@heed/tensor-backend'
import type { Batch } from './data/batch.ts'
import type { DataParallel } from './data-parallel.ts'
import type { TrainableModel } from './model.ts'
import { type FailedStep, firstBadTensor, worstBatch } from './non-finite.ts'
import type { NamedParameter } from './optim/optimizer.ts'
import { WeightSizes } from './weight-sizes.ts'

/** Losses above both are an explosion: of so many nats, and of so many times the first. */
const explodedLoss = 50
const explodedRatio = 20

/** A step whose weights have not changed yet. */
export interface OpenStep {
  /** From 1. */
  number: number
  loss: tf.Scalar
  norm: tf.Scalar
  batches: readonly Batch[]
  gradients: ReadonlyMap<string, tf.Tensor>
  /** Of the dropout masks of the step. */
  seed: number
  /** Where one of its batches is in the data: `3 of epoch 0`. */
  placeOf(batches: readonly number[]): string
}

/** Stops a run whose numbers go wrong, and says where they did. */
export class StepGuard {
  #firstLoss: number | undefined
  #sizes: WeightSizes | undefined

  constructor(
    readonly model: TrainableModel,
    readonly parallel: DataParallel,
    readonly labelSmoothing: number,
  ) {}

  /** Remembers the weights that the run begins with. */
  begin(parameters: readonly NamedParameter[]): void {
    if (readsAtOnce()) this.#sizes = new WeightSizes(parameters)
  }

  /**
   * Throws HEED_NUMERIC before the weights change when loss or gradient of a step are not finite, or when the loss explodes,
   * with the batch and the tensor. On a GPU, where reading makes it wait, nothing is done: `checkNumbers` finds it some steps
   * later.
   */
  check(step: OpenStep): void {
    if (!readsAtOnce()) return
    const [loss] = this.parallel.sum([step.loss.dataSync()[0]!]) as [number] // each process has a part
    this.checkNumbers(step.number, loss, step.norm.dataSync()[0]!, step)
  }

  /** Throws HEED_NUMERIC as `check`, for numbers that were read; `step` says where they come from, as long as it is there. */
  checkNumbers(number: number, loss: number, norm: number, step?: OpenStep): void {
    for (const [what, value] of [['loss', loss] as const, ['the norm of the gradients', norm] as const]) {
      if (Number.isFinite(value)) continue
      throw new HeedError(
        'HEED_NUMERIC',
        `Trainer: ${what} is ${value} at step ${number}, expected a finite number. ${step ? this.#findBad(step) : ''}` +
          'Lower learningRate, warm up longer, or look at the data of that step.',
      )
    }
    this.#firstLoss ??= loss
    const limit = Math.max(explodedLoss, explodedRatio * this.#firstLoss)
    if (loss <= limit) return
    throw new HeedError(
      'HEED_NUMERIC',
      `Trainer: loss is ${loss} at step ${number}, expected at most ${limit} after ${this.#firstLoss} at the first step. ` +
        `${step ? this.#findExploded(step) : ''}The training has exploded: lower learningRate, warm up longer, or set maxGradNorm.`,
    )
  }

  #findBad(step: OpenStep): string {
    const bad = firstBadTensor(this.#failed(step))
    if (!bad) return ''
    const suspects = bad.batch === undefined ? [...step.batches.keys()] : [bad.batch]
    return `The first tensor that went wrong is ${bad.name}, in ${step.placeOf(suspects)}. `
  }

  #findExploded(step: OpenStep): string {
    const { batch, loss } = worstBatch(this.#failed(step))
    const grown = this.#sizes?.mostGrown()
    const weight = grown
      ? `The tensor that went wrong is the weight ${grown.name}, whose numbers have grown from ${short(grown.before)} to ${short(grown.now)} (root mean square). `
      : ''
    return `The loss is highest, ${short(loss)}, in ${step.placeOf([batch])}. ${weight}`
  }

  #failed({ batches, gradients, seed }: OpenStep): FailedStep {
    return { model: this.model, batches, gradients, seed, labelSmoothing: this.labelSmoothing }
  }
}

const short = (value: number): string => String(Number(value.toPrecision(3)))

/** Whether a tensor can be read without making a GPU wait. */
function readsAtOnce(): boolean {
  return tf.getBackend() !== 'webgpu'
}
