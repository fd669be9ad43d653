import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { HeedError } from '@heed/tensor-backend'
import { Tokenizer } from '@heed/tokenizer'
import {
  interruptSignal,
  lossPlot,
  onFirstProcess,
  Trainer,
  type TrainerOptions,
  type TrainingArguments,
} from '@heed/trainer'
import { formatCount, formatSeconds } from './terminal/format.ts'
import { sayTo, trainingReport } from './training-report.ts'

export interface TrainingSession<T> {
  model: TrainerOptions<T>['model']
  tokenizer: Tokenizer
  trainDataset: NonNullable<TrainerOptions<T>['trainDataset']>
  evalDataset: NonNullable<TrainerOptions<T>['evalDataset']>
  /** What else the trainer is to have. */
  trainer?: Pick<TrainerOptions<T>, 'collator' | 'computeMetrics' | 'sampleTexts'>
  args: Partial<TrainingArguments> & { outputDir: string }
  resume: boolean
  isJson: boolean
  /** Where the result goes. */
  folder: string
  /** Where `save` puts a model in which the result is merged. */
  mergedFolder?: string
  /** Writes it; called in the first of several processes only. */
  save(folder: string): Promise<unknown>
}

export interface TrainingResult {
  /** Where the result was saved. */
  model: string
  /** The picture of the losses. */
  plot: string
  /** A page with all curves of the run. */
  report: string
  globalStep: number
  isInterrupted: boolean
  /** Mean over the validation labels, in nats; smoothed where training smooths them. */
  validationLoss: number
  /** Where the data know their bytes. */
  bitsPerByte?: number
  /** Of a classifier. */
  accuracy?: number
  /** Of the training alone. */
  trainSeconds: number
  tokensPerSecond: number
}

/** Where a run keeps its tokenizer from its first step on, so that it can be resumed. */
export function tokenizerFolder(outputDir: string): string {
  return join(outputDir, 'tokenizer')
}

/** The tokenizer of the run that is to go on. Throws HEED_ARGUMENT_INVALID when there is none. */
export async function tokenizerOfRun(outputDir: string): Promise<Tokenizer> {
  const folder = tokenizerFolder(outputDir)
  if (await stat(folder).catch(() => undefined)) return Tokenizer.fromPretrained(folder)
  throw new HeedError(
    'HEED_ARGUMENT_INVALID',
    `--out is ${outputDir}, where no run was begun, expected one with --resume. Check the folder, or leave --resume out.`,
  )
}

/**
 * Trains a model, saves it, draws its losses and says how it went. After Ctrl-C the checkpoint is saved and what was reached is
 * reported. Throws as `Trainer`.
 */
export async function runTraining<T>(session: TrainingSession<T>): Promise<TrainingResult> {
  const { signal, release } = interruptSignal()
  try {
    const result = await trainAndSave(session, signal, release)
    const say = sayTo(session.isJson)
    say(
      'trained',
      `${formatCount(result.globalStep)} steps in ${formatSeconds(result.trainSeconds)}, ` +
        `${formatCount(result.tokensPerSecond)} tokens/s${result.isInterrupted ? '; stopped early, --resume goes on' : ''}`,
    )
    const { mergedFolder } = session
    say('saved', [result.model, ...(mergedFolder ? [mergedFolder] : []), result.report].join(', '))
    return result
  } finally {
    release()
  }
}

/** Of Ctrl-C after the last step, while the model was being saved. */
export function withoutEvaluation(folder: string): HeedError {
  return new HeedError('HEED_ABORTED', `${folder} is saved; its evaluation was interrupted. Add --resume to have it.`)
}

async function trainAndSave<T>(
  session: TrainingSession<T>,
  signal: AbortSignal,
  release: () => void,
): Promise<TrainingResult> {
  const { model, tokenizer, trainDataset, evalDataset, args, isJson } = session
  const { outputDir } = args
  const { folder } = session
  const trainer = new Trainer({
    ...session.trainer,
    ...{ model, args, trainDataset, evalDataset },
    callbacks: [
      onFirstProcess({ onTrainBegin: () => tokenizer.save(tokenizerFolder(outputDir)) }),
      trainingReport(isJson),
      lossPlot(outputDir),
    ],
  })
  const { globalStep, isInterrupted, metrics } = await trainer.train({ resumeFromCheckpoint: session.resume, signal })
  if (trainer.state.isWorldProcessZero) await session.save(folder)
  if (signal.aborted && !isInterrupted) throw withoutEvaluation(folder)
  release() // from here on Ctrl-C loses nothing
  const { evalLoss, evalBitsPerByte, evalAccuracy } = await trainer.evaluate()
  return {
    model: folder,
    plot: join(outputDir, 'loss.png'),
    report: join(outputDir, 'report.html'),
    globalStep,
    isInterrupted,
    validationLoss: evalLoss!,
    ...(evalBitsPerByte !== undefined && { bitsPerByte: evalBitsPerByte }),
    ...(evalAccuracy !== undefined && { accuracy: evalAccuracy }),
    trainSeconds: metrics.trainRuntime!,
    tokensPerSecond: (metrics.trainStepsPerSecond! * trainer.state.numInputTokensSeen) / globalStep,
  }
}
