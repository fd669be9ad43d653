import { HeedError } from '@heed/tensor-backend'
import { folders } from '#folder'
import type { TrainingArguments } from './arguments.ts'
import { type ResumePoint, readCheckpoint, resumeSettings, writeCheckpoint, writeOptimizerShard } from './checkpoint.ts'
import { show } from './checks.ts'
import type { DataParallel } from './data-parallel.ts'
import type { TrainableModel } from './model.ts'
import type { Optimizer } from './optim/optimizer.ts'
import {
  checkNewRun,
  cleanRunFolder,
  lastCheckpoint,
  listCheckpoints,
  publishCheckpoint,
  rotateCheckpoints,
  unfinishedCheckpoint,
} from './run-folder.ts'
import type { TrainerState } from './trainer-state.ts'

/** What of a checkpoint is in memory. */
interface RunParts {
  model: TrainableModel
  optimizer: Optimizer
  args: TrainingArguments
  parallel: DataParallel
  /** Of the data set, where it has a length. */
  numExamples: number | undefined
}

/** The place in the data and in the log that a run goes on from, and what its schedule goes on from. */
type SavedPlace = Omit<ResumePoint, 'optimizerSteps' | 'settings'>

/** A run's folder, kept from other runs, and the checkpoints in it; without `outputDir` there is neither. */
export class RunCheckpoints {
  readonly #parts: RunParts
  readonly #settings: ResumePoint['settings']
  #unlock: (() => Promise<void>) | undefined
  #lastStep: number | undefined
  /** The folder of the one saved last. */
  last: string | undefined

  constructor(parts: RunParts) {
    this.#parts = parts
    this.#settings = resumeSettings(parts.args, parts.numExamples, parts.parallel.size)
  }

  /**
   * Takes the folder, and finds the checkpoint to go on from, if any. Throws HEED_IO when another run has it, and
   * HEED_ARGUMENT_INVALID when it is not said which.
   */
  async open(resumeFromCheckpoint: string | boolean): Promise<string | undefined> {
    const { args, parallel } = this.#parts
    const { outputDir } = args
    const isKnown = typeof resumeFromCheckpoint === 'string' || typeof resumeFromCheckpoint === 'boolean'
    if (!isKnown || (resumeFromCheckpoint === true && outputDir === undefined)) {
      const expected = isKnown ? 'the path of a checkpoint since there is no outputDir' : "a checkpoint's path, or true"
      throw new HeedError(
        'HEED_ARGUMENT_INVALID',
        `Trainer.train: resumeFromCheckpoint is ${show(resumeFromCheckpoint)}, expected ${expected}.`,
      )
    }
    if (outputDir !== undefined && parallel.isFirst) {
      await folders.make(outputDir)
      this.#unlock = await folders.lock(outputDir)
      await cleanRunFolder(outputDir)
    }
    parallel.meet()
    if (typeof resumeFromCheckpoint === 'string') return resumeFromCheckpoint || undefined
    return resumeFromCheckpoint && outputDir !== undefined ? lastCheckpoint(outputDir) : undefined
  }

  /** Removes the checkpoints of an older run. Throws HEED_ARGUMENT_INVALID when there are some that must not be overwritten. */
  async startAnew(): Promise<void> {
    const { args, parallel } = this.#parts
    if (args.outputDir !== undefined && parallel.isFirst) await checkNewRun(args.outputDir, args.overwriteOutputDir)
  }

  /** Loads model and optimizer in place. Throws as `readCheckpoint`. */
  async read(checkpoint: string): Promise<{ state: TrainerState; point: ResumePoint }> {
    const { model, optimizer, parallel, args } = this.#parts
    const { state, point } = await readCheckpoint(checkpoint, model, optimizer, this.#settings, parallel.isSharded)
    const { outputDir } = args
    const best = `${outputDir}/checkpoint-${state.bestGlobalStep}`
    // The folder may have another path now.
    if (outputDir !== undefined && (await listCheckpoints(outputDir)).includes(best)) state.bestModelCheckpoint = best
    return { state, point }
  }

  /**
   * Saves a checkpoint -> its folder; nothing where this step has one, unless its evaluation was stopped since. Throws HEED_IO, and
   * then the older ones are whole.
   */
  async save(state: TrainerState, place: SavedPlace): Promise<string | undefined> {
    const { model, optimizer, args, parallel } = this.#parts
    const { outputDir } = args
    const { globalStep } = state
    if (outputDir === undefined || (this.#lastStep === globalStep && !place.isEvaluationDue)) return undefined
    const { isFirst, isSharded } = parallel
    const checkpoint = `${outputDir}/checkpoint-${globalStep}`
    if (state.bestGlobalStep === globalStep) state.bestModelCheckpoint = checkpoint
    const point = { ...place, optimizerSteps: optimizer.stepCount, settings: this.#settings }
    if (isFirst) {
      await publishCheckpoint(outputDir, globalStep, async folder => {
        if (isSharded) await this.#saveShard(folder)
        await writeCheckpoint(folder, model, isSharded ? undefined : optimizer, state, args, point)
      })
    } else if (isSharded) await this.#saveShard(unfinishedCheckpoint(outputDir, globalStep))
    this.#lastStep = globalStep
    this.last = checkpoint
    return checkpoint
  }

  /** Each process's part of the optimizer's state, in the folder that the first has made and goes on with when all are done. */
  async #saveShard(folder: string): Promise<void> {
    const { optimizer, parallel } = this.#parts
    parallel.meet()
    await writeOptimizerShard(folder, optimizer, parallel)
    parallel.meet()
  }

  /** Removes the oldest, but for the best and as many as are to stay. */
  async rotate(best: string | undefined): Promise<void> {
    const { args, parallel } = this.#parts
    if (args.outputDir !== undefined && parallel.isFirst) {
      await rotateCheckpoints(args.outputDir, args.saveTotalLimit, best)
    }
  }

  /** Lets other runs have the folder. */
  async close(): Promise<void> {
    await this.#unlock?.()
  }
}
