import { join } from 'node:path'
import type { Tokenizer } from '@heed/tokenizer'
import {
  type IndexedDataset,
  lossPlot,
  onFirstProcess,
  type TokenExample,
  Trainer,
  type TrainingArguments,
} from '@heed/trainer'
import type { CausalLm } from '@heed/transformer'
import { trainingReport } from './training-report.ts'

export interface LanguageModelRun {
  model: CausalLm
  tokenizer: Tokenizer
  trainDataset: IndexedDataset<TokenExample>
  evalDataset: IndexedDataset<TokenExample>
  args: Partial<TrainingArguments> & { outputDir: string }
  resume: boolean
  signal: AbortSignal
  isJson: boolean
}

export interface LanguageModelResult {
  /** Where the HuggingFace folder was saved. */
  model: string
  /** The picture of the losses. */
  plot: string
  globalStep: number
  isInterrupted: boolean
  /** Mean over the validation tokens, in nats. */
  validationLoss: number
  bitsPerByte: number
  /** Of the training alone. */
  trainSeconds: number
  tokensPerSecond: number
}

/** Where a run keeps its tokenizer from its first step on, so that it can be resumed. */
export function tokenizerFolder(outputDir: string): string {
  return join(outputDir, 'tokenizer')
}

/**
 * Trains a model, saves it with its tokenizer under `outputDir/model`, and draws its losses. After Ctrl-C the checkpoint is
 * saved and what was reached is reported. Throws as `Trainer`.
 */
export async function trainLanguageModel(run: LanguageModelRun): Promise<LanguageModelResult> {
  const { model, tokenizer, args, signal, isJson } = run
  const { outputDir } = args
  const trainer = new Trainer({
    model,
    args,
    trainDataset: run.trainDataset,
    evalDataset: run.evalDataset,
    callbacks: [
      onFirstProcess({ onTrainBegin: () => tokenizer.save(tokenizerFolder(outputDir)) }),
      trainingReport(isJson),
      lossPlot(outputDir),
    ],
  })
  const { globalStep, isInterrupted, metrics } = await trainer.train({ resumeFromCheckpoint: run.resume, signal })
  const evaluation = await trainer.evaluate()
  const folder = join(outputDir, 'model')
  if (trainer.state.isWorldProcessZero) {
    await model.savePretrained(folder)
    await tokenizer.save(folder)
  }
  return {
    model: folder,
    plot: join(outputDir, 'loss.png'),
    globalStep,
    isInterrupted,
    validationLoss: evaluation.evalLoss!,
    bitsPerByte: evaluation.evalBitsPerByte!,
    trainSeconds: metrics.trainRuntime!,
    tokensPerSecond: (metrics.trainStepsPerSecond! * trainer.state.numInputTokensSeen) / globalStep,
  }
}
