import { type BackendReport, joinWorld, tf } from '@heed/tensor-backend'
import { onFirstProcess, type TrainerCallback } from '@heed/trainer'
import { formatBytes, formatCount } from './terminal/format.ts'
import { ProgressBar } from './terminal/progress.ts'
import { bold, dim } from './terminal/style.ts'

/** Whether this process prints and writes files: under `mpirun` only the first of all does. To be asked after `init`. */
export function isFirstProcess(): boolean {
  return (joinWorld()?.rank ?? 0) === 0
}

/**
 * Prints lines such as `model      llama, 1,000 parameters` to standard error; nothing with `--json`. To be used after
 * `init`.
 */
export function sayTo(isJson: boolean): (title: string, text: string) => void {
  return (title, text) =>
    void (isJson || !isFirstProcess() || process.stderr.write(`${bold(title.padEnd(10))} ${text}\n`))
}

/** The chosen backend, and why not another. */
export function describeBackend({ backend, instructionSet, threads, rejected }: BackendReport): string {
  const why = rejected.map(({ backend: name, reason }) => `${name}: ${reason}`).join('; ')
  return `${backend} (${instructionSet}, ${threads} thread${threads === 1 ? '' : 's'})${why && dim(`  not ${why}`)}`
}

/** What a training tells: for machines one JSON object a line, for people a bar. */
export function trainingReport(isJson: boolean): TrainerCallback {
  return onFirstProcess(isJson ? jsonLines() : progressLine())
}

/** A bar with the loss, the learning rate, the pace, the memory in use and the time that is left. */
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
      const memory = logs.memoryBytes === undefined ? '' : `  ${formatBytes(logs.memoryBytes)}`
      words = `loss ${logs.loss.toFixed(3)}  lr ${logs.learningRate?.toExponential(1)}  ${pace}${memory}`
    },
    onEvaluate({ state, metrics }) {
      if (metrics?.evalLoss === undefined) return
      bar?.clear()
      const { evalBitsPerByte: bits, evalAccuracy } = metrics
      process.stderr.write(
        `step ${String(state.globalStep).padStart(5)}  validation loss ${metrics.evalLoss.toFixed(3)}` +
          `${bits === undefined ? '' : `  ${bits.toFixed(3)} bits per byte`}` +
          `${evalAccuracy === undefined ? '' : `  accuracy ${evalAccuracy.toFixed(3)}`}\n`,
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
