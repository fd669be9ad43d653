import { join } from 'node:path'
import { HeedError, init } from '@heed/tensor-backend'
import { Tokenizer } from '@heed/tokenizer'
import { completeArguments, type TrainingArguments } from '@heed/trainer'
import type { Command } from 'commander'
import { AutoModelForCausalLM, type CausalLm, type LlamaConfig, LlamaForCausalLM, llamaConfig } from 'heed'
import { type TrainOptions, type TrainRecipe, usualWarmup } from '../commands/train.ts'
import { type Corpus, makeCorpus, type TrainingData, trainingData } from '../corpus.ts'
import { type DryRun, dryRun, printDryRun } from '../dry-run.ts'
import { exitCodes } from '../failure.ts'
import { checkOutputDir, tryOutputDir } from '../output-dir.ts'
import { readRecipe, type TranslationRecipe } from '../recipe.ts'
import { checkPlaceOfRun, checkSizesOfRun, checkVocabSizeOfRun } from '../resumed-run.ts'
import { sampleTexts } from '../sample-texts.ts'
import { formatCount } from '../terminal/format.ts'
import { endOfText } from '../train-tokenizer.ts'
import { argumentsOf } from '../training-options.ts'
import { describeBackend, sayTo } from '../training-report.ts'
import { runTraining, type TrainingResult, tokenizerOfRun } from '../training-session.ts'
import { dryRunTranslation, type TranslationResult, trainTranslation } from '../translation-model.ts'
import { checkCorpusOfModel, checkTokenizerOfModel, checkTokenizerOfRun } from '../vocabularies.ts'

/** Trains a model and saves it. Throws HEED_ARGUMENT_INVALID, and as the steps it is made of. */
export async function train(files: readonly string[], options: TrainOptions, command: Command): Promise<void> {
  const isJson = options.json === true
  checkGiven(command, options)
  completeDefaults(command, options)
  await checkOutputDir(options.out)
  if (options.dryRun) return printDryRun(await dryRunOf(files, options, command), isJson)
  await checkPlaceOfRun(options, ['model'])
  const result = options.recipe
    ? await trainByRecipe(files, options, options.recipe)
    : await runRecipe(await inputOf(files, options, command), options, isJson)
  if (isJson) console.log(JSON.stringify({ event: 'done', ...result }))
  if (result.isInterrupted) process.exitCode = exitCodes.interrupted
}

/** Defaults that hang on other options; a config file gives others, which stay. */
function completeDefaults(command: Command, options: TrainOptions): void {
  const isDefault = (option: keyof TrainOptions) => command.getOptionValueSource(option) === 'default'
  const { steps, numAttentionHeads, numKeyValueHeads } = options
  if (isDefault('warmupSteps')) options.warmupSteps = usualWarmup(steps)
  if (isDefault('numKeyValueHeads') && numAttentionHeads % numKeyValueHeads !== 0) {
    options.numKeyValueHeads = numAttentionHeads
  }
}

const isGiven = (command: Command, option: string): boolean => command.getOptionValueSource(option) === 'cli'

/** Options that a recipe does not say itself. */
const besideRecipe = ['recipe', 'data', 'out', 'resume', 'overwrite', 'dryRun', 'json']
/** Options of a new model and its tokenizer. */
const ofNewModel = [
  'vocabSize',
  'hiddenSize',
  'intermediateSize',
  'numHiddenLayers',
  'numAttentionHeads',
  'numKeyValueHeads',
]

/** Throws HEED_ARGUMENT_INVALID at the first of these options that is given. */
function refuseGiven(command: Command, names: readonly string[], other: string, mend: string): void {
  const option = command.options.find(
    each => names.includes(each.attributeName()) && isGiven(command, each.attributeName()),
  )
  if (!option) return
  throw new HeedError('HEED_ARGUMENT_INVALID', `heed train: ${option.long} is given, expected it ${other}. ${mend}`)
}

/** Throws HEED_ARGUMENT_INVALID at an option that would change nothing beside others. */
function checkGiven(command: Command, { recipe, model, tokenizer }: TrainOptions): void {
  const refuse = (names: readonly string[], other: string, mend: string) => refuseGiven(command, names, other, mend)
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

/** What a run trains on, and the tokenizer that is there for it. */
interface RunInput {
  data: TrainingData
  tokenizer?: Tokenizer | undefined
}

/**
 * What the files hold. Throws HEED_ARGUMENT_INVALID at an option of a tokenizer beside tokens, and at tokens or sizes that are not
 * those of the model or of the run that is to go on, and as `trainingData`.
 */
async function inputOf(files: readonly string[], options: TrainOptions, command: Command): Promise<RunInput> {
  const { model, resume, out } = options
  const data = await trainingData(files)
  const isPrepared = 'folder' in data
  if (isPrepared) {
    const other = 'without a folder of heed data prepare, which has its own tokenizer'
    refuseGiven(command, ['tokenizer', 'vocabSize'], other, 'Leave one of them out.')
  }
  const source = isPrepared ? data.folder : (options.tokenizer ?? model)
  const given = source === undefined ? undefined : { source, tokenizer: await Tokenizer.fromPretrained(source) }
  if (model && given && isPrepared) await checkCorpusOfModel(given, model)
  else if (model && given && options.tokenizer) await checkTokenizerOfModel(given, model)
  if (!resume) return { data, tokenizer: given?.tokenizer }
  const tokenizer = given?.tokenizer ?? (await tokenizerOfRun(out))
  if (given) await checkTokenizerOfRun(given, out)
  else if (!isPrepared && isGiven(command, 'vocabSize')) await checkVocabSizeOfRun(tokenizer, data.text, options)
  if (!model) await checkSizesOfRun(options)
  return { data, tokenizer }
}

async function dryRunOf(files: readonly string[], options: TrainOptions, command: Command): Promise<DryRun> {
  if (options.recipe) return dryRunTranslation(await recipeOf(files, options, options.recipe), options)
  const { model, corpus } = await makeParts(await inputOf(files, options, command), options, options.json === true)
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
  const { out, resume, overwrite, json } = options
  const recipe = await recipeOf(files, options, recipeFile)
  if (!resume) await tryOutputDir(out)
  return trainTranslation(recipe, { out, resume, overwrite, isJson: json === true })
}

interface RunParts {
  model: CausalLm
  corpus: Corpus
}

/** Tokenizer, data and model of a run. */
async function makeParts(input: RunInput, recipe: TrainRecipe, isJson: boolean): Promise<RunParts> {
  const say = sayTo(isJson)
  completeArguments(runArguments(recipe))
  if (!recipe.model) llamaConfig.complete(sizesOf(recipe)) // before a tokenizer is trained
  say('backend', describeBackend(await init()))
  const { vocabSize, blockSize } = recipe
  const corpus = await makeCorpus(input.data, { tokenizer: input.tokenizer, vocabSize, blockSize, isQuiet: isJson })
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
    overwriteOutputDir: recipe.overwrite,
    adamBeta2: 0.99,
    loggingSteps: 10,
    saveTotalLimit: 1,
  }
}

/** Tokenizer, data, model, training, report: the whole way from a text to a saved model. */
export async function runRecipe(input: RunInput, recipe: TrainRecipe, isJson: boolean): Promise<TrainingResult> {
  if (!recipe.resume) await tryOutputDir(recipe.out)
  const { model, corpus } = await makeParts(input, recipe, isJson)
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

function sizesOf(recipe: TrainRecipe): Partial<LlamaConfig> {
  const { hiddenSize, intermediateSize, numHiddenLayers, numAttentionHeads, numKeyValueHeads, blockSize } = recipe
  const widths = { hiddenSize, intermediateSize, numAttentionHeads, numKeyValueHeads }
  return { ...widths, numHiddenLayers, maxPositionEmbeddings: blockSize }
}

function newLlama(recipe: TrainRecipe, tokenizer: Tokenizer): CausalLm {
  const endOfTextId = tokenizer.specialTokenId('eos_token') ?? tokenizer.tokenToId(endOfText)
  const config = llamaConfig.complete({
    ...sizesOf(recipe),
    vocabSize: tokenizer.vocabSize,
    tieWordEmbeddings: true,
    ...(endOfTextId !== undefined && { bosTokenId: endOfTextId, eosTokenId: [endOfTextId] }),
  })
  return new LlamaForCausalLM(config, { seed: recipe.seed })
}
