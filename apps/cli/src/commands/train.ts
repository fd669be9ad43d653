import { join } from 'node:path'
import { HeedError, init } from '@heed/tensor-backend'
import type { Tokenizer } from '@heed/tokenizer'
import { interruptSignal, type TrainingArguments } from '@heed/trainer'
import { Command } from 'commander'
import { AutoModelForCausalLM, type CausalLm, LlamaForCausalLM, llamaConfig } from 'heed'
import { wholeNumber } from '../arguments.ts'
import { type Corpus, type CorpusRecipe, makeCorpus, type TrainingData, trainingData } from '../corpus.ts'
import { type DryRun, dryRun, printDryRun } from '../dry-run.ts'
import { action, exitCodes } from '../failure.ts'
import { readRecipe, type TranslationRecipe } from '../recipe.ts'
import { sampleTexts } from '../sample-texts.ts'
import { formatCount } from '../terminal/format.ts'
import { endOfText } from '../train-tokenizer.ts'
import {
  argumentsOf,
  type RunFlags,
  samplePromptOption,
  type TrainingFlags,
  trainingOptions,
} from '../training-options.ts'
import { describeBackend, sayTo } from '../training-report.ts'
import { checkOutputDir, runTraining, type TrainingResult } from '../training-session.ts'
import { dryRunTranslation, type TranslationResult, trainTranslation } from '../translation-model.ts'

/** What `heed train` and `heed quickstart` ask for; sizes by their names in `config.json`, in camelCase. */
export interface TrainRecipe extends CorpusRecipe, Required<TrainingFlags> {
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
  weightDecay: 0.1,
  evalSteps: 200,
  saveSteps: 400,
  seed: 42,
  resume: false,
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
    .option('--num-key-value-heads <n>', 'key and value heads', count, recipe.numKeyValueHeads)
    .option('--block-size <n>', 'tokens the model sees at once', wholeNumber(2), recipe.blockSize)
    .addOption(samplePromptOption())
  return trainingOptions(command, recipe)
    .addHelpText(
      'after',
      '\nExamples:\n  heed train book.txt --out runs/book --steps 1000\n  heed train book.txt --out runs/book --steps 1000 --resume',
    )
    .action(
      action(async (files: string[], options: TrainOptions, command: Command) => {
        const isJson = options.json === true
        checkGiven(command, options)
        if (!isGiven(command, 'warmupSteps')) options.warmupSteps = usualWarmup(options.steps)
        await checkOutputDir(options.out)
        if (options.dryRun) return printDryRun(await dryRunOf(files, options), isJson)
        const result = options.recipe
          ? await trainByRecipe(files, options, options.recipe)
          : await runRecipe(await trainingData(files), options, isJson)
        if (isJson) console.log(JSON.stringify({ event: 'done', ...result }))
        if (result.isInterrupted) process.exitCode = exitCodes.interrupted
      }),
    )
}

interface TrainOptions extends Omit<TrainRecipe, keyof RunFlags>, RunFlags {
  recipe?: string
  data?: string
}

const isGiven = (command: Command, option: string): boolean => command.getOptionValueSource(option) === 'cli'

/** Options that a recipe does not say itself. */
const besideRecipe = ['recipe', 'data', 'out', 'resume', 'dryRun', 'json']
/** Options of a new model and its tokenizer. */
const ofNewModel = [
  'vocabSize',
  'hiddenSize',
  'intermediateSize',
  'numHiddenLayers',
  'numAttentionHeads',
  'numKeyValueHeads',
]

/** Throws HEED_ARGUMENT_INVALID at an option that would change nothing beside others. */
function checkGiven(command: Command, { recipe, model, tokenizer }: TrainOptions): void {
  const refuse = (names: readonly string[], other: string, mend: string): void => {
    const option = command.options.find(
      each => names.includes(each.attributeName()) && isGiven(command, each.attributeName()),
    )
    if (!option) return
    throw new HeedError('HEED_ARGUMENT_INVALID', `heed train: ${option.long} is given, expected it ${other}. ${mend}`)
  }
  const all = command.options.map(option => option.attributeName())
  if (recipe)
    refuse(
      all.filter(name => !besideRecipe.includes(name)),
      'in the file with --recipe',
      'Write it there.',
    )
  else refuse(['data'], 'with --recipe only', 'Leave it out.')
  if (model) refuse(ofNewModel, 'without --model, which has its own sizes', 'Leave one of them out.')
  if (tokenizer) refuse(['vocabSize'], 'without --tokenizer, which has its own', 'Leave one of them out.')
}

async function dryRunOf(files: readonly string[], options: TrainOptions): Promise<DryRun> {
  if (options.recipe) return dryRunTranslation(await recipeOf(files, options, options.recipe), options.json === true)
  const { model, corpus } = await makeParts(await trainingData(files), options, options.json === true)
  try {
    return await dryRun({ model, args: runArguments(options), trainDataset: corpus.train })
  } finally {
    model.dispose()
  }
}

/** The recipe that a file holds; with it no other files are given. */
function recipeOf(files: readonly string[], { data }: TrainOptions, recipeFile: string): Promise<TranslationRecipe> {
  if (files.length === 0) return readRecipe(recipeFile, data)
  throw new HeedError(
    'HEED_ARGUMENT_INVALID',
    `heed train: files are ${files.join(', ')}, expected none with --recipe, which names its own. Give their folder by --data.`,
  )
}

async function trainByRecipe(
  files: readonly string[],
  options: TrainOptions,
  recipeFile: string,
): Promise<TranslationResult> {
  const { out, resume, json } = options
  const recipe = await recipeOf(files, options, recipeFile)
  const { signal, release } = interruptSignal()
  try {
    return await trainTranslation(recipe, { out, resume, signal, isJson: json === true })
  } finally {
    release()
  }
}

interface RunParts {
  model: CausalLm
  corpus: Corpus
}

/** Tokenizer, data and model of a run. */
async function makeParts(data: TrainingData, recipe: TrainRecipe, isJson: boolean): Promise<RunParts> {
  const say = sayTo(isJson)
  say('backend', describeBackend(await init()))
  const corpus = await makeCorpus(data, recipe, isJson)
  const { tokenizer } = corpus
  say(
    'data',
    `${formatCount(corpus.numBytes)} bytes, ${formatCount(corpus.numTokens)} tokens of a vocabulary of ${formatCount(tokenizer.vocabSize)}`,
  )
  const model = recipe.model ? await AutoModelForCausalLM.fromPretrained(recipe.model) : newLlama(recipe, tokenizer)
  say('model', `${model.config.modelType}, ${formatCount(model.numParameters)} parameters`)
  return { model, corpus }
}

function runArguments(recipe: TrainRecipe): Partial<TrainingArguments> & { outputDir: string } {
  return {
    ...argumentsOf(recipe),
    outputDir: recipe.out,
    overwriteOutputDir: !recipe.resume,
    lrSchedulerType: 'cosine',
    adamBeta2: 0.99,
    loggingSteps: 10,
    saveTotalLimit: 1,
  }
}

/** Tokenizer, data, model, training, report: the whole way from a text to a saved model. */
export async function runRecipe(data: TrainingData, recipe: TrainRecipe, isJson: boolean): Promise<TrainingResult> {
  const { model, corpus } = await makeParts(data, recipe, isJson)
  const { tokenizer, train, validation } = corpus
  try {
    return await runTraining({
      ...{ model, tokenizer, trainDataset: train, evalDataset: validation },
      trainer: {
        sampleTexts: sampleTexts({
          ...{ model, tokenizer, validation },
          ...{ prompts: recipe.samplePrompt, blockSize: recipe.blockSize },
        }),
      },
      args: runArguments(recipe),
      resume: recipe.resume,
      isJson,
      folder: join(recipe.out, 'model'),
      async save(folder) {
        await model.savePretrained(folder)
        await tokenizer.save(folder)
      },
    })
  } finally {
    model.dispose()
  }
}

function newLlama(recipe: TrainRecipe, tokenizer: Tokenizer): CausalLm {
  const endOfTextId = tokenizer.specialTokenId('eos_token') ?? tokenizer.tokenToId(endOfText)
  const config = llamaConfig.complete({
    vocabSize: tokenizer.vocabSize,
    hiddenSize: recipe.hiddenSize,
    intermediateSize: recipe.intermediateSize,
    numHiddenLayers: recipe.numHiddenLayers,
    numAttentionHeads: recipe.numAttentionHeads,
    numKeyValueHeads: recipe.numKeyValueHeads,
    maxPositionEmbeddings: recipe.blockSize,
    tieWordEmbeddings: true,
    ...(endOfTextId !== undefined && { bosTokenId: endOfTextId, eosTokenId: [endOfTextId] }),
  })
  return new LlamaForCausalLM(config, { seed: recipe.seed })
}
