import { join } from 'node:path'
import { tf } from '@heed/tensor-backend'
import type { Tokenizer } from '@heed/tokenizer'
import {
  type IndexedDataset,
  lossPlot,
  type TokenExample,
  Trainer,
  type TrainerCallback,
  type TrainingArguments,
} from '@heed/trainer'
import type { CausalLm } from '@heed/transformer'
import { formatCount } from './terminal/format.ts'
import { ProgressBar } from './terminal/progress.ts'

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
      { onTrainBegin: () => tokenizer.save(tokenizerFolder(outputDir)) },
      isJson ? jsonLines() : progressLine(),
      lossPlot(outputDir),
    ],
  })
  const { globalStep, isInterrupted, metrics } = await trainer.train({ resumeFromCheckpoint: run.resume, signal })
  const evaluation = await trainer.evaluate()
  const folder = join(outputDir, 'model')
  await model.savePretrained(folder)
  await tokenizer.save(folder)
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

/** A bar with the loss, the learning rate, the pace and the time that is left. */
function progressLine(): TrainerCallback {
  let bar: ProgressBar | undefined
  let words = ''
  return {
    onTrainBegin({ state }) {
      bar = new ProgressBar('train', state.maxSteps - state.globalStep, false)
    },
    onLog({ logs }) {
      if (logs?.loss === undefined) return
      const pace = `${formatCount(logs.tokensPerSecond ?? 0)} tokens/s`
      words = `loss ${logs.loss.toFixed(3)}  lr ${logs.learningRate?.toExponential(1)}  ${pace}`
    },
    onEvaluate({ state, metrics }) {
      if (metrics?.evalLoss === undefined) return
      bar?.clear()
      const bits = metrics.evalBitsPerByte
      process.stderr.write(
        `step ${String(state.globalStep).padStart(5)}  validation loss ${metrics.evalLoss.toFixed(3)}` +
          `${bits === undefined ? '' : `  ${bits.toFixed(3)} bits per byte`}\n`,
      )
    },
    onStepEnd({ state }) {
      bar?.update(state.globalStep, words)
    },
    onTrainEnd() {
      bar?.clear()
    },
  }
}

/** One JSON object per line for each log and evaluation. */
function jsonLines(): TrainerCallback {
  const print = (event: string, step: number, values: object): void =>
    void process.stdout.write(`${JSON.stringify({ event, step, ...values })}\n`)
  return {
    onLog: ({ state, logs }) => print('log', state.globalStep, { ...logs, numTensors: tf.memory().numTensors }),
    onEvaluate: ({ state, metrics }) => print('evaluate', state.globalStep, metrics ?? {}),
    onSave: ({ state, checkpoint }) => print('save', state.globalStep, { checkpoint }),
  }
}
