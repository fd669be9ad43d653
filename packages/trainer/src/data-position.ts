import { HeedError } from '@heed/tensor-backend'
import type { Batch } from './data/batch.ts'
import type { DatasetLike } from './data/sources.ts'
import { type BatchPlan, batchesPerEpoch, updatesOf, updatesPerEpoch } from './data/updates.ts'

/** How far a run has come in its data. */
export class DataPosition<T> {
  epoch = 0
  /** Updates done in this epoch. */
  updates = 0

  constructor(
    readonly dataset: DatasetLike<T>,
    readonly plan: BatchPlan<T>,
  ) {}

  /** The batches of each update left in this epoch. */
  rest(): AsyncGenerator<Batch[]> {
    return updatesOf(this.dataset, this.plan, this.epoch, this.updates)
  }

  /** Epochs done, this one by its part; of a stream, whose length nobody knows, `partOfRun`. */
  epochsDone(partOfRun: number): number {
    const batches = batchesPerEpoch(this.plan)
    if (batches === undefined) return partOfRun
    return this.epoch + Math.min(this.updates * this.plan.accumulation, batches) / batches
  }

  /** Where some of the batches of the update that comes next are, counted from 0: `batches 2, 3 of epoch 0`. */
  placeOf(batches: readonly number[]): string {
    const { accumulation, share } = this.plan
    const numbers = batches.map(batch => (this.updates * accumulation + batch) * share.size + share.rank)
    return `${numbers.length === 1 ? 'batch' : 'batches'} ${numbers.join(', ')} of epoch ${this.epoch}`
  }

  /**
   * Goes on to the next epoch, unless the run stops within this one, where it can be taken up again. Throws HEED_ARGUMENT_INVALID
   * when this epoch had no example.
   */
  endEpoch(isStopping: boolean): void {
    if (this.updates === 0) {
      throw new HeedError(
        'HEED_ARGUMENT_INVALID',
        `Trainer: trainDataset gave no example in epoch ${this.epoch}, expected some. A stream must start anew each time it is iterated.`,
      )
    }
    const isWhole = this.updates === updatesPerEpoch(this.plan)
    if (isStopping && !isWhole) return
    this.epoch += 1
    this.updates = 0
  }
}
