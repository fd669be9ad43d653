import type { SchedulerType, TrainingArguments } from '@heed/trainer'
import { type Command, Option } from 'commander'
import { jsonObject, numberBetween, repeated, wholeNumber } from './arguments.ts'
import { withoutUndefined } from './without-undefined.ts'

/** The options of a training that have the same name in every command that trains. */
export interface TrainingFlags {
  batchSize?: number
  gradientAccumulationSteps?: number
  steps?: number
  learningRate?: number
  warmupSteps?: number
  lrSchedulerType?: string
  lrSchedulerKwargs?: Record<string, unknown>
  weightDecay?: number
  evalSteps?: number
  saveSteps?: number
  seed?: number
}

/** What every command that trains takes beside them. */
export interface RunFlags {
  out: string
  resume: boolean
  /** Write over an earlier run. */
  overwrite: boolean
  dryRun?: boolean
  json?: boolean
}

/** `--sample-prompt`, which may be given again. */
export function samplePromptOption(): Option {
  return new Option(
    '--sample-prompt <text>',
    'what report.html shows the answer to, at each evaluation; beginnings of the data by default',
  ).argParser(repeated)
}

/** Adds the options of a training; without a default one that is not given is absent. */
export function trainingOptions(command: Command, defaults: TrainingFlags = {}): Command {
  const count = wholeNumber(1)
  return command
    .option('--batch-size <n>', 'examples in a batch', count, defaults.batchSize)
    .option('--gradient-accumulation-steps <n>', 'batches in a step', count, defaults.gradientAccumulationSteps)
    .option('--steps <n>', 'steps to train', count, defaults.steps)
    .option('--learning-rate <x>', 'its highest, after the warm-up', numberBetween(0, 10), defaults.learningRate)
    .option('--warmup-steps <n>', 'steps of rising learning rate', wholeNumber(0), defaults.warmupSteps)
    .option('--lr-scheduler-type <name>', 'how it goes on: a schedule of HF', defaults.lrSchedulerType)
    .option('--lr-scheduler-kwargs <json>', 'what the schedule takes, such as \'{"minLrRate": 0.1}\'', jsonObject)
    .option('--weight-decay <x>', 'decay of matrices', numberBetween(0, 10), defaults.weightDecay)
    .option('--eval-steps <n>', 'evaluate every so many steps', count, defaults.evalSteps)
    .option('--save-steps <n>', 'save a checkpoint every so many steps', count, defaults.saveSteps)
    .option('--seed <n>', 'of new weights and of the order of the data', wholeNumber(0), defaults.seed)
    .option('--resume', 'go on from the newest checkpoint in --out', false)
    .addOption(new Option('--overwrite', 'write over the run that is in --out').default(false).conflicts('resume'))
    .option('--dry-run', 'train four steps, write nothing, and print what the whole takes: memory, tokens, time')
    .addOption(new Option('--json', 'print one JSON object per line'))
}

/** The training arguments that options stand for; those of options that were not given are left out. */
export function argumentsOf(flags: TrainingFlags): Partial<TrainingArguments> {
  const { batchSize, steps, evalSteps, saveSteps } = flags
  const { gradientAccumulationSteps, learningRate, warmupSteps, weightDecay, seed, lrSchedulerKwargs } = flags
  const lrSchedulerType = flags.lrSchedulerType as SchedulerType | undefined // which Trainer checks
  return {
    ...withoutUndefined({ gradientAccumulationSteps, learningRate, warmupSteps, weightDecay, seed }),
    ...withoutUndefined({ lrSchedulerType, lrSchedulerKwargs }),
    ...(batchSize !== undefined && { perDeviceTrainBatchSize: batchSize, perDeviceEvalBatchSize: 2 * batchSize }),
    ...(steps !== undefined && { maxSteps: steps }),
    ...(evalSteps !== undefined && { evalStrategy: 'steps', evalSteps }),
    ...(saveSteps !== undefined && { saveStrategy: 'steps', saveSteps }),
  }
}
