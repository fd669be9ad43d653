import { HeedError, init } from '@heed/tensor-backend'
import { Tokenizer } from '@heed/tokenizer'
import {
  type IndexedDataset,
  interruptSignal,
  isTokenShards,
  readTextFiles,
  splitText,
  type TokenExample,
  TokenShards,
  type TrainingArguments,
  textCorpus,
} from '@heed/trainer'
import { Command, Option } from 'commander'
import { AutoModelForCausalLM, type CausalLm, LlamaForCausalLM, llamaConfig } from 'heed'
import { numberBetween, wholeNumber } from '../arguments.ts'
import { type DryRun, dryRun, printDryRun } from '../dry-run.ts'
import { action, exitCodes } from '../failure.ts'
import { type LanguageModelResult, tokenizerFolder, trainLanguageModel } from '../language-model.ts'
import { readRecipe, type TranslationRecipe } from '../recipe.ts'
import { formatCount, formatSeconds } from '../terminal/format.ts'
import { ProgressBar } from '../terminal/progress.ts'
import { endOfText, trainTokenizer } from '../train-tokenizer.ts'
import { describeBackend, sayTo } from '../training-report.ts'
import { dryRunTranslation, type TranslationResult, trainTranslation } from '../translation-model.ts'

/** What `heed train` and `heed quickstart` ask for; sizes by their names in `config.json`, in camelCase. */
export interface TrainRecipe {
  out: string
  tokenizer?: string
  model?: string
  vocabSize: number
  hiddenSize: number
  intermediateSize: number
  numHiddenLayers: number
  numAttentionHeads: number
  numKeyValueHeads: number
  blockSize: number
  batchSize: number
  gradientAccumulationSteps: number
  steps: number
  learningRate: number
  warmupSteps: number
  weightDecay: number
  evalSteps: number
  saveSteps: number
  seed: number
  resume: boolean
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

/** `heed train`: text files in, a HuggingFace folder out. */
export function trainCommand(): Command {
  const recipe = defaultRecipe
  const count = wholeNumber(1)
  return new Command('train')
    .description('Train a LLaMA on text files, and save it with its tokenizer as a HuggingFace folder.')
    .argument('[files...]', 'UTF-8 text files, or one folder of heed data prepare')
    .option(
      '--recipe <file>',
      'train what this YAML or JSON file describes, such as a translation model; see examples/recipes',
    )
    .option('--data <folder>', 'where the files of the recipe are; beside it when left out')
    .requiredOption('--out <folder>', 'where checkpoints, metrics, the loss picture and model/ go')
    .option('--tokenizer <folder>', 'use this tokenizer; one is trained when left out')
    .option('--model <folder>', 'go on from this model and its tokenizer; a new one is made when left out')
    .option('--vocab-size <n>', 'tokens of a new tokenizer', wholeNumber(257), recipe.vocabSize)
    .option('--hidden-size <n>', 'width of a new model', count, recipe.hiddenSize)
    .option('--intermediate-size <n>', 'width of its feed-forward', count, recipe.intermediateSize)
    .option('--num-hidden-layers <n>', 'layers', count, recipe.numHiddenLayers)
    .option('--num-attention-heads <n>', 'query heads', count, recipe.numAttentionHeads)
    .option('--num-key-value-heads <n>', 'key and value heads', count, recipe.numKeyValueHeads)
    .option('--block-size <n>', 'tokens the model sees at once', wholeNumber(2), recipe.blockSize)
    .option('--batch-size <n>', 'blocks in a batch', count, recipe.batchSize)
    .option('--gradient-accumulation-steps <n>', 'batches in a step', count, recipe.gradientAccumulationSteps)
    .option('--steps <n>', 'steps to train', count, recipe.steps)
    .option('--learning-rate <x>', 'its highest, after the warm-up', numberBetween(0, 10), recipe.learningRate)
    .option('--warmup-steps <n>', 'steps of rising learning rate', wholeNumber(0), recipe.warmupSteps)
    .option('--weight-decay <x>', 'decay of matrices', numberBetween(0, 10), recipe.weightDecay)
    .option('--eval-steps <n>', 'evaluate every so many steps', count, recipe.evalSteps)
    .option('--save-steps <n>', 'save a checkpoint every so many steps', count, recipe.saveSteps)
    .option('--seed <n>', 'of the weights and of the order of the data', wholeNumber(0), recipe.seed)
    .option('--resume', 'go on from the newest checkpoint in --out', false)
    .option('--dry-run', 'train four steps, write nothing, and print what the whole takes: memory, tokens, time')
    .addOption(new Option('--json', 'print one JSON object per line'))
    .addHelpText(
      'after',
      '\nExamples:\n  heed train book.txt --out runs/book --steps 1000\n  heed train book.txt --out runs/book --steps 1000 --resume',
    )
    .action(
      action(async (files: string[], options: TrainOptions) => {
        const isJson = options.json === true
        if (options.dryRun) return printDryRun(await dryRunOf(files, options), isJson)
        const { isInterrupted } = options.recipe
          ? await trainByRecipe(files, options, options.recipe)
          : await runRecipe(await trainingData(files), options, isJson)
        if (isInterrupted) process.exitCode = exitCodes.interrupted
      }),
    )
}

interface TrainOptions extends TrainRecipe {
  recipe?: string
  data?: string
  dryRun?: boolean
  json?: boolean
}

async function dryRunOf(files: readonly string[], options: TrainOptions): Promise<DryRun> {
  if (options.recipe) return dryRunTranslation(await recipeOf(files, options, options.recipe), options.json === true)
  const { model, corpus } = await makeParts(await trainingData(files), options, options.json === true)
  try {
    return await dryRun({ model, args: argumentsOf(options), trainDataset: corpus.train })
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
    const result = await trainTranslation(recipe, { out, resume, signal, isJson: json === true })
    if (json) console.log(JSON.stringify({ event: 'done', ...result }))
    return result
  } finally {
    release()
  }
}

/** A text, or the folder of a corpus that was tokenised before. */
export type TrainingData = { text: string } | { folder: string }

async function trainingData(files: readonly string[]): Promise<TrainingData> {
  const [folder, ...others] = files
  if (folder !== undefined && others.length === 0 && (await isTokenShards(folder))) return { folder }
  return { text: await readTextFiles(files) }
}

interface Corpus {
  tokenizer: Tokenizer
  train: IndexedDataset<TokenExample>
  validation: IndexedDataset<TokenExample>
  numBytes: number
  numTokens: number
}

/** Tokens of a prepared corpus that are for validation at most: more would take longer than they tell. */
const mostValidationTokens = 2 ** 18

/** The blocks of a prepared corpus; the tokens at its end, 1 in 100 and a block at least, are for validation. */
async function preparedCorpus(folder: string, { blockSize, tokenizer }: TrainRecipe): Promise<Corpus> {
  const all = await TokenShards.open(folder, { blockSize })
  const { numTokens, numBytes } = all.index
  await all.close()
  const cut = numTokens - Math.max(blockSize, Math.min(mostValidationTokens, Math.floor(numTokens / 100)))
  return {
    tokenizer: await Tokenizer.fromPretrained(tokenizer ?? folder),
    train: await TokenShards.open(folder, { blockSize, end: cut }),
    validation: await TokenShards.open(folder, { blockSize, start: cut }),
    ...{ numBytes, numTokens },
  }
}

async function corpusOfText(text: string, recipe: TrainRecipe, isQuiet: boolean): Promise<Corpus> {
  const source = recipe.tokenizer ?? recipe.model ?? (recipe.resume ? tokenizerFolder(recipe.out) : undefined)
  const tokenizer = source
    ? await Tokenizer.fromPretrained(source)
    : await newTokenizer(splitText(text, validationSplit)[0], recipe.vocabSize, isQuiet)
  const corpus = textCorpus(text, { tokenizer, blockSize: recipe.blockSize, stride: 1, validationSplit })
  return { ...corpus, tokenizer, validation: corpus.validation! }
}

interface RunParts {
  model: CausalLm
  corpus: Corpus
}

/** Tokenizer, data and model of a run. */
async function makeParts(data: TrainingData, recipe: TrainRecipe, isJson: boolean): Promise<RunParts> {
  const say = sayTo(isJson)
  say('backend', describeBackend(await init()))
  const corpus =
    'folder' in data ? await preparedCorpus(data.folder, recipe) : await corpusOfText(data.text, recipe, isJson)
  const { tokenizer } = corpus
  say(
    'data',
    `${formatCount(corpus.numBytes)} bytes, ${formatCount(corpus.numTokens)} tokens of a vocabulary of ${formatCount(tokenizer.vocabSize)}`,
  )
  const model = recipe.model ? await AutoModelForCausalLM.fromPretrained(recipe.model) : newLlama(recipe, tokenizer)
  say('model', `${model.config.modelType}, ${formatCount(model.numParameters)} parameters`)
  return { model, corpus }
}

function argumentsOf(recipe: TrainRecipe): Partial<TrainingArguments> & { outputDir: string } {
  return {
    outputDir: recipe.out,
    overwriteOutputDir: !recipe.resume,
    perDeviceTrainBatchSize: recipe.batchSize,
    perDeviceEvalBatchSize: 2 * recipe.batchSize,
    gradientAccumulationSteps: recipe.gradientAccumulationSteps,
    maxSteps: recipe.steps,
    learningRate: recipe.learningRate,
    lrSchedulerType: 'cosine',
    warmupSteps: Math.min(recipe.warmupSteps, Math.ceil(recipe.steps / 10)),
    weightDecay: recipe.weightDecay,
    adamBeta2: 0.99,
    loggingSteps: 10,
    evalStrategy: 'steps',
    evalSteps: recipe.evalSteps,
    saveSteps: recipe.saveSteps,
    saveTotalLimit: 1,
    seed: recipe.seed,
  }
}

/** Tokenizer, data, model, training, report: the whole way from a text to a saved model. */
export async function runRecipe(
  data: TrainingData,
  recipe: TrainRecipe,
  isJson: boolean,
): Promise<LanguageModelResult> {
  const say = sayTo(isJson)
  const { model, corpus } = await makeParts(data, recipe, isJson)
  const { signal, release } = interruptSignal()
  try {
    const result = await trainLanguageModel({
      model,
      tokenizer: corpus.tokenizer,
      trainDataset: corpus.train,
      evalDataset: corpus.validation,
      args: argumentsOf(recipe),
      resume: recipe.resume,
      signal,
      isJson,
    })
    say(
      'trained',
      `${formatCount(result.globalStep)} steps in ${formatSeconds(result.trainSeconds)}, ` +
        `${formatCount(result.tokensPerSecond)} tokens/s${result.isInterrupted ? '; stopped early, --resume goes on' : ''}`,
    )
    say('saved', `${result.model}, ${result.plot}`)
    return result
  } finally {
    release()
    model.dispose()
  }
}

const validationSplit = 0.1

async function newTokenizer(text: string, vocabSize: number, isQuiet: boolean): Promise<Tokenizer> {
  const bar = new ProgressBar('tokenizer', vocabSize, isQuiet)
  const tokenizer = await trainTokenizer(text.split(/(?<=\n)/), {
    type: 'bpe',
    vocabSize,
    onProgress: ({ stage, done }) => stage === 'Compute merges' && bar.update(done, `${formatCount(done)} merges`),
  })
  bar.clear()
  return tokenizer
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
