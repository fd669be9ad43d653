import { join } from 'node:path'
import { init } from '@heed/tensor-backend'
import type { Tokenizer } from '@heed/tokenizer'
import {
  accuracy,
  type Collator,
  causalLmCollator,
  classificationCollator,
  completeArguments,
  DpoModel,
  type IndexedDataset,
  LoraModel,
  preferenceCollator,
  type TrainableModel,
  type TrainerOptions,
  type TrainingArguments,
} from '@heed/trainer'
import { type CausalLm, loadTokenizer, type PretrainedModel } from 'heed'
import { type DryRun, dryRun } from '../dry-run.ts'
import { tryOutputDir } from '../output-dir.ts'
import { checkAdapterOfRun } from '../resumed-run.ts'
import { sampleTexts } from '../sample-texts.ts'
import { formatCount } from '../terminal/format.ts'
import type { RunFlags } from '../training-options.ts'
import { describeBackend, sayTo } from '../training-report.ts'
import { runTraining, type TrainingResult } from '../training-session.ts'
import { chatExamples, labelledTexts, preferencePairs, preferredAnswers, textBlocks } from './data.ts'
import {
  adapt,
  type BaseConfig,
  type BaseModel,
  type ClassifierHead,
  countParameters,
  loadBase,
  padTokenIdOf,
  readBaseConfig,
} from './model.ts'
import type { FinetuneRecipe } from './recipe.ts'

/** The most tokens of an example where nobody says: enough for most, little enough for most memories. */
const defaultBlockSize = 512

/** Tokenizer, data and model of a fine-tuning. */
interface FinetuneParts {
  tokenizer: Tokenizer
  data: TaskData
  base: BaseModel
  /** What learns and is saved: the base, or its adapters. */
  trained: BaseModel | LoraModel<BaseModel>
  /** What the trainer calls: that, or for a preference its loss beside the base as it was. */
  learner: TrainableModel
  dispose(): void
}

/** What a task gives the trainer; what an example is only its collator knows. */
interface TaskData {
  train: IndexedDataset<unknown>
  validation: IndexedDataset<unknown>
  trainer: Pick<TrainerOptions<unknown>, 'collator' | 'computeMetrics'>
  /** Of a classifier. */
  head?: ClassifierHead
  /** Texts that a language model writes for the report. */
  sampleTexts?(model: CausalLm): TrainerOptions<unknown>['sampleTexts']
}

async function makeParts(recipe: FinetuneRecipe, flags: RunFlags): Promise<FinetuneParts> {
  const say = sayTo(flags.json === true)
  completeArguments(runArguments(recipe, flags))
  say('backend', describeBackend(await init()))
  const tokenizer = await loadTokenizer(recipe.model)
  const data = await readData(recipe, await readBaseConfig(recipe.model), tokenizer)
  const { train, validation, head } = data
  const labels = head ? `, labels ${head.labels.join(', ')}` : ''
  say(
    'data',
    `${recipe.task}: ${formatCount(train.length)} examples, ${formatCount(validation.length)} to validate${labels}`,
  )
  const base = await loadBase(recipe, head)
  try {
    const trained = adapt(base, recipe)
    if (flags.resume && trained instanceof LoraModel) await checkAdapterOfRun(trained.config, flags.out)
    const { numParameters, numTrainable } = countParameters(base, trained)
    const share = ((100 * numTrainable) / numParameters).toPrecision(3)
    say(
      'model',
      `${base.config.modelType}, ${formatCount(numParameters)} parameters, ${formatCount(numTrainable)} of them (${share} %) are trained`,
    )
    const reference = recipe.task === 'preference' ? await loadBase(recipe, head) : undefined
    return {
      ...{ tokenizer, data, base, trained },
      learner: reference ? new DpoModel(trained, reference, recipe.dpo) : trained,
      dispose() {
        if (trained instanceof LoraModel) trained.detach()
        base.dispose()
        reference?.dispose()
      },
    }
  } catch (error) {
    base.dispose()
    throw error
  }
}

async function readData(recipe: FinetuneRecipe, config: BaseConfig, tokenizer: Tokenizer): Promise<TaskData> {
  const { contextLength = defaultBlockSize, labels: known } = config
  const blockSize = recipe.blockSize ?? Math.min(contextLength, defaultBlockSize)
  const padTokenId = padTokenIdOf(config, tokenizer)
  if (recipe.task === 'classification') {
    const { labels, ...split } = await labelledTexts(recipe, tokenizer, { blockSize, known })
    const collator = classificationCollator({ numLabels: labels.length, padTokenId })
    return {
      ...split,
      trainer: {
        collator: collator as Collator<unknown>,
        computeMetrics: ({ predictions, labels: right }) => ({ accuracy: accuracy(predictions, right) }),
      },
      head: { labels, padTokenId },
    }
  }
  if (recipe.task === 'preference') {
    const split = await preferencePairs(recipe, tokenizer, blockSize)
    const sampling = {
      tokenizer,
      validation: preferredAnswers(split.validation),
      blockSize,
      prompts: recipe.samplePrompts,
      isGreedy: true,
    }
    return {
      ...split,
      trainer: { collator: preferenceCollator({ padTokenId }) as Collator<unknown> },
      sampleTexts: model => sampleTexts({ ...sampling, model }),
    }
  }
  const read = recipe.task === 'chat' ? chatExamples : textBlocks
  const collator = causalLmCollator({ padTokenId }) as Collator<unknown>
  const split = await read(recipe, tokenizer, blockSize)
  const { validation } = split
  const isChat = recipe.task === 'chat'
  const sampling = { tokenizer, validation, blockSize, prompts: recipe.samplePrompts, isChat, isGreedy: isChat }
  return { ...split, trainer: { collator }, sampleTexts: model => sampleTexts({ ...sampling, model }) }
}

/** Adapters learn ten times as fast as weights, and preferences a tenth as fast as texts. */
function usualRate({ lora, task }: FinetuneRecipe): number {
  return (lora ? 2e-4 : 2e-5) * (task === 'preference' ? 0.1 : 1)
}

/** As far as the recipe does not say: three epochs, evaluated and saved after each. */
function runArguments(
  recipe: FinetuneRecipe,
  { out, overwrite }: RunFlags,
): Partial<TrainingArguments> & { outputDir: string } {
  return {
    learningRate: usualRate(recipe),
    warmupRatio: 0.03,
    loggingSteps: 10,
    evalStrategy: 'epoch',
    saveStrategy: 'epoch',
    saveTotalLimit: 1,
    ...recipe.training,
    outputDir: out,
    overwriteOutputDir: overwrite,
  }
}

/** What a fine-tuning would take. Throws as `finetuneByRecipe`. */
export async function dryRunFinetune(recipe: FinetuneRecipe, flags: RunFlags): Promise<DryRun> {
  const { base, trained, learner, data, dispose } = await makeParts(recipe, flags)
  try {
    const args = runArguments(recipe, flags)
    const run = await dryRun({ ...data.trainer, model: learner, args, trainDataset: data.train })
    return { ...run, ...countParameters(base, trained) }
  } finally {
    dispose()
  }
}

/**
 * Fine-tunes a model by a recipe, and saves it under `model/`, or its adapter under `adapter/`. Throws as the steps it is
 * made of.
 */
export async function finetuneByRecipe(recipe: FinetuneRecipe, flags: RunFlags): Promise<TrainingResult> {
  if (!flags.resume) await tryOutputDir(flags.out)
  const { tokenizer, base, trained, learner, data, dispose } = await makeParts(recipe, flags)
  const { out, resume, json } = flags
  const mergedFolder = recipe.merge ? join(out, 'model') : undefined
  const samples = data.sampleTexts?.(base as PretrainedModel as CausalLm)
  try {
    return await runTraining({
      ...{ model: learner, tokenizer, trainDataset: data.train, evalDataset: data.validation },
      trainer: { ...data.trainer, ...(samples && { sampleTexts: samples }) },
      args: runArguments(recipe, flags),
      resume,
      isJson: json === true,
      folder: join(out, recipe.lora ? 'adapter' : 'model'),
      ...(mergedFolder && { mergedFolder }),
      async save(folder) {
        await trained.savePretrained(folder)
        await tokenizer.save(folder)
        if (mergedFolder) await saveMerged(folder, mergedFolder, { recipe, tokenizer, head: data.head })
      },
    })
  } finally {
    dispose()
  }
}

/** Saves the base with the adapter of a folder in its weights, as float32: those in few bits are too coarse for an update. */
async function saveMerged(
  adapter: string,
  folder: string,
  { recipe, tokenizer, head }: { recipe: FinetuneRecipe; tokenizer: Tokenizer; head: ClassifierHead | undefined },
): Promise<void> {
  const base = await loadBase({ model: recipe.model }, head)
  try {
    const adapted = await LoraModel.fromPretrained(base, adapter)
    adapted.merge()
    adapted.detach()
    await base.savePretrained(folder)
    await tokenizer.save(folder)
  } finally {
    base.dispose()
  }
}
