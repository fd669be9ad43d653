import { Command, Option } from 'commander'
import { wholeNumber } from '../arguments.ts'
import { action } from '../failure.ts'
import { type RunFlags, samplePromptOption, type TrainingFlags, trainingOptions } from '../training-options.ts'

type WithDefaults = Required<Omit<TrainingFlags, 'lrSchedulerKwargs'>> & Pick<TrainingFlags, 'lrSchedulerKwargs'>

/** What `heed train` and `heed quickstart` ask for; sizes by their names in `config.json`, in camelCase. */
export interface TrainRecipe extends WithDefaults {
  out: string
  resume: boolean
  overwrite: boolean
  /** Folders; a tokenizer is trained where neither is given. */
  tokenizer?: string
  model?: string
  /** Of a new tokenizer. */
  vocabSize: number
  blockSize: number
  hiddenSize: number
  intermediateSize: number
  numHiddenLayers: number
  numAttentionHeads: number
  numKeyValueHeads: number
  samplePrompt?: string[]
}

export const defaultRecipe: Omit<TrainRecipe, 'out'> = {
  vocabSize: 1024,
  hiddenSize: 128,
  intermediateSize: 352,
  numHiddenLayers: 4,
  numAttentionHeads: 4,
  numKeyValueHeads: 2,
  blockSize: 128,
  batchSize: 16,
  gradientAccumulationSteps: 1,
  steps: 1200,
  learningRate: 3e-3,
  warmupSteps: 100,
  lrSchedulerType: 'cosine',
  weightDecay: 0.1,
  evalSteps: 200,
  saveSteps: 400,
  seed: 42,
  resume: false,
  overwrite: false,
}

/** A hundred steps, or a tenth of a short run. */
export function usualWarmup(steps: number): number {
  return Math.min(defaultRecipe.warmupSteps, Math.ceil(steps / 10))
}

/** `heed train`: text files in, a HuggingFace folder out. */
export function trainCommand(): Command {
  const recipe = defaultRecipe
  const count = wholeNumber(1)
  const command = new Command('train')
    .description('Train a LLaMA on text files, and save it with its tokenizer as a HuggingFace folder.')
    .argument('[files...]', 'UTF-8 text files, or one folder of heed data prepare')
    .option(
      '--recipe <file>',
      'train what this YAML or JSON file describes, such as a translation model; see examples/recipes',
    )
    .option('--data <folder>', 'where the files of the recipe are; beside it when left out')
    .requiredOption('--out <folder>', 'where checkpoints, metrics, report.html and model/ go')
    .option('--tokenizer <folder>', 'use this tokenizer; one is trained when left out')
    .option('--model <folder>', 'go on from this model and its tokenizer; a new one is made when left out')
    .option('--vocab-size <n>', 'tokens of a new tokenizer', wholeNumber(257), recipe.vocabSize)
    .option('--hidden-size <n>', 'width of a new model', count, recipe.hiddenSize)
    .option('--intermediate-size <n>', 'width of its feed-forward', count, recipe.intermediateSize)
    .option('--num-hidden-layers <n>', 'layers', count, recipe.numHiddenLayers)
    .option('--num-attention-heads <n>', 'query heads', count, recipe.numAttentionHeads)
    .addOption(
      new Option('--num-key-value-heads <n>', 'key and value heads')
        .argParser(count)
        .default(
          recipe.numKeyValueHeads,
          `${recipe.numKeyValueHeads}, or one for each query head where that does not divide them`,
        ),
    )
    .option('--block-size <n>', 'tokens the model sees at once', wholeNumber(2), recipe.blockSize)
    .addOption(samplePromptOption())
  return trainingOptions(command, recipe)
    .addHelpText(
      'after',
      '\nExamples:\n  heed train book.txt --out runs/book --steps 1000\n  heed train book.txt --out runs/book --steps 1000 --resume',
    )
    .action(
      action(async (files: string[], options: TrainOptions, command: Command) => {
        const { train } = await import('../actions/train.ts')
        await train(files, options, command)
      }),
    )
}

export interface TrainOptions extends Omit<TrainRecipe, keyof RunFlags>, RunFlags {
  recipe?: string
  data?: string
}
