import { completeArguments, followsMetric, Trainer, type TrainerOptions } from '@heed/trainer'
import { formatBytes, formatCount, formatSeconds } from './terminal/format.ts'

/** What a training would take. */
export interface DryRun {
  numParameters: number
  /** Those that are trained. */
  numTrainable: number
  /** Of the weights and of the gradients of those that are trained. */
  weightBytes: number
  /** Resident memory of the process while it trained. */
  memoryBytes: number
  steps: number
  tokensPerStep: number
  tokens: number
  secondsPerStep: number
  seconds: number
}

/** Steps that are timed, after one that makes room. */
const timedSteps = 3

/**
 * Trains some steps of a run in memory, writes nothing, and tells what the whole would take, without its evaluations and
 * checkpoints. Throws as `Trainer`.
 */
export async function dryRun<T>(options: TrainerOptions<T>): Promise<DryRun> {
  const { outputDir: _, ...args } = options.args ?? {}
  const { lrSchedulerType } = completeArguments(options.args ?? {})
  const seconds: number[] = []
  let steps = 0
  let memoryBytes = 0
  let startedAt = 0
  const trainer = new Trainer({
    ...options,
    args: {
      ...args,
      ...{ loggingStrategy: 'no', evalStrategy: 'no', saveStrategy: 'no', loadBestModelAtEnd: false },
      ...(followsMetric(lrSchedulerType) && { lrSchedulerType: 'constant', lrSchedulerKwargs: {} }),
    },
    callbacks: [
      {
        onTrainBegin({ state }) {
          steps = state.maxSteps
        },
        onStepBegin() {
          startedAt = performance.now()
        },
        onStepEnd({ state, control, progress }) {
          seconds.push((performance.now() - startedAt) / 1000)
          memoryBytes = Math.max(memoryBytes, progress.memoryBytes ?? 0)
          if (state.globalStep > timedSteps) control.shouldTrainingStop = true
        },
      },
    ],
  })
  await trainer.train()
  const timed = seconds.slice(seconds.length > 1 ? 1 : 0)
  const secondsPerStep = timed.reduce((sum, each) => sum + each, 0) / timed.length
  const tokensPerStep = trainer.state.numInputTokensSeen / seconds.length
  const parameters = [...options.model.namedParameters()].map(([, parameter]) => parameter)
  const sizeOf = (variables: typeof parameters): number => variables.reduce((sum, { size }) => sum + size, 0)
  const numParameters = sizeOf(parameters)
  const numTrainable = sizeOf(parameters.filter(({ trainable }) => trainable))
  return {
    numParameters,
    numTrainable,
    weightBytes: 4 * (numParameters + numTrainable),
    memoryBytes,
    steps,
    tokensPerStep,
    tokens: steps * tokensPerStep,
    secondsPerStep,
    seconds: steps * secondsPerStep,
  }
}

/** Prints what `--dry-run` found, for machines as one JSON object. */
export function printDryRun(run: DryRun, isJson: boolean): void {
  if (isJson) {
    console.log(JSON.stringify({ event: 'dryRun', ...run }))
    return
  }
  const isPart = run.numTrainable < run.numParameters
  const lines = [
    `parameters ${formatCount(run.numParameters)}${isPart ? `, of them ${formatCount(run.numTrainable)} trained` : ''}`,
    `memory     ${formatBytes(run.memoryBytes)}, of it ${formatBytes(run.weightBytes)} for weights and gradients`,
    `tokens     ${formatCount(run.tokens)}: ${formatCount(run.steps)} steps of ${formatCount(run.tokensPerStep)}`,
    `time       ${formatSeconds(run.seconds)} at ${run.secondsPerStep.toFixed(3)} s a step, without evaluations`,
  ]
  console.log(lines.join('\n'))
}
