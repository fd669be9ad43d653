import { HeedError } from '@heed/tensor-backend'
import type { Tokenizer } from '@heed/tokenizer'
import { resolveModel } from '#hub'
import {
  AutoModel,
  AutoModelForCausalLM,
  AutoModelForMaskedLM,
  AutoModelForQuestionAnswering,
  AutoModelForSeq2SeqLM,
  AutoModelForSequenceClassification,
  AutoModelForTokenClassification,
} from '../auto.ts'
import type { GenerateOptions } from '../generation/plan.ts'
import type { LoadOptions } from '../loading/from-pretrained.ts'
import { loadTokenizer } from '../loading/load-tokenizer.ts'
import type { PretrainedModel } from '../model.ts'
import { extractFeatures, type FeatureExtractionOptions } from './feature-extraction.ts'
import { type FillMaskOptions, type FillMaskResult, fillMasks } from './fill-mask.ts'
import { type Answer, answerQuestions, type Question, type QuestionAnsweringOptions } from './question-answering.ts'
import type { TextModel, TextOrPair } from './text-batch.ts'
import { classifyTexts, type LabelScore, type TextClassificationOptions } from './text-classification.ts'
import { continueTexts, type GeneratedText, type TextGenerationOptions } from './text-generation.ts'
import { type SummarizedText, summarizeTexts, type TranslatedText, translateTexts } from './text-to-text.ts'
import {
  classifyTokens,
  type EntityGroup,
  type TokenClassificationOptions,
  type TokenLabel,
} from './token-classification.ts'
import { type ZeroShotOptions, type ZeroShotResult, zeroShotByEmbeddings } from './zero-shot.ts'

/**
 * What each task takes, how it is asked, and what it gives for each input: `one` where it gives something else for a single
 * one, `each` for those of a list when no `topK` is asked for.
 */
export interface PipelineTasks {
  'fill-mask': { input: string; options: FillMaskOptions; output: FillMaskResult }
  'text-generation': { input: string; options: TextGenerationOptions; output: GeneratedText[] }
  'text-classification': {
    input: TextOrPair
    options: TextClassificationOptions
    output: LabelScore[]
    each: LabelScore
  }
  'token-classification': {
    input: string
    options: TokenClassificationOptions
    output: (TokenLabel | EntityGroup)[]
  }
  'question-answering': { input: Question; options: QuestionAnsweringOptions; output: Answer }
  'feature-extraction': { input: string; options: FeatureExtractionOptions; output: number[][][] | number[] }
  translation: { input: string; options: GenerateOptions; output: TranslatedText; one: TranslatedText[] }
  summarization: { input: string; options: GenerateOptions; output: SummarizedText; one: SummarizedText[] }
  'zero-shot-classification': { input: string; options: ZeroShotOptions; output: ZeroShotResult }
}

export type PipelineTask = keyof PipelineTasks
type Input<T extends PipelineTask> = PipelineTasks[T]['input']
type Output<T extends PipelineTask> = PipelineTasks[T]['output']
type OutputOfOne<T extends PipelineTask> = PipelineTasks[T] extends { one: infer One } ? One : Output<T>

type OutputOfEach<T extends PipelineTask> = PipelineTasks[T] extends { each: infer Each } ? Each : Output<T>
type WithoutTopK<T extends PipelineTask> = PipelineTasks[T] extends { each: unknown } ? { topK?: undefined } : unknown

export interface BatchOptions {
  /** How many inputs go through the model together; 8 by default. */
  batchSize?: number
}

/** A task ready to run: call it with one input, or with an array of them. */
export interface Pipeline<T extends PipelineTask> {
  (input: Input<T>, options?: PipelineTasks[T]['options'] & BatchOptions): Promise<OutputOfOne<T>>
  (
    inputs: readonly Input<T>[],
    options?: PipelineTasks[T]['options'] & BatchOptions & WithoutTopK<T>,
  ): Promise<OutputOfEach<T>[]>
  (
    inputs: readonly Input<T>[],
    options: PipelineTasks[T]['options'] & BatchOptions & { topK: number | null },
  ): Promise<Output<T>[]>
  readonly model: PretrainedModel
  readonly tokenizer: Tokenizer
  /** Frees the model. */
  dispose(): void
}

interface TaskEntry {
  model: { fromPretrained(location: string, options?: LoadOptions): Promise<PretrainedModel> }
  /** Whether a single input gives a list of one output, as HF's text-to-text tasks do. */
  givesList?: true
  /** Whether inputs of a list give their likeliest label alone where no `topK` is asked for. */
  givesLikeliest?: true
  run(parts: TextModel<never>, inputs: readonly never[], options: never): Promise<readonly unknown[]>
}

const tasks: { readonly [T in PipelineTask]: TaskEntry } = {
  'fill-mask': { model: AutoModelForMaskedLM, run: fillMasks },
  'text-generation': { model: AutoModelForCausalLM, run: continueTexts },
  'text-classification': { model: AutoModelForSequenceClassification, run: classifyTexts, givesLikeliest: true },
  'token-classification': { model: AutoModelForTokenClassification, run: classifyTokens },
  'question-answering': { model: AutoModelForQuestionAnswering, run: answerQuestions },
  'feature-extraction': { model: AutoModel, run: extractFeatures },
  translation: { model: AutoModelForSeq2SeqLM, run: translateTexts, givesList: true },
  summarization: { model: AutoModelForSeq2SeqLM, run: summarizeTexts, givesList: true },
  'zero-shot-classification': { model: AutoModel, run: zeroShotByEmbeddings },
}

const DEFAULT_BATCH_SIZE = 8

/**
 * A task with the model and tokenizer of a folder or hub id, or with ones at hand. Results have HF's fields in camelCase.
 * Throws HEED_ARGUMENT_INVALID on an unknown task, and what loading throws.
 */
export async function pipeline<T extends PipelineTask>(
  task: T,
  source: string | TextModel,
  options: LoadOptions = {},
): Promise<Pipeline<T>> {
  const entry = Object.hasOwn(tasks, task) ? tasks[task] : undefined
  if (!entry) {
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `pipeline: task is ${JSON.stringify(task)}, expected one of ${Object.keys(tasks).join(', ')}.`,
    )
  }
  const { model, tokenizer } = typeof source === 'string' ? await loadParts(entry, source, options) : source

  async function run(
    given: Input<T> | readonly Input<T>[],
    { batchSize = DEFAULT_BATCH_SIZE, ...settings }: BatchOptions & { topK?: number | null } = {},
  ): Promise<unknown> {
    const isList = Array.isArray(given) // a pair of texts is given within a list: [['text', 'pair']]
    const inputs = (isList ? given : [given]) as Input<T>[]
    const outputs: unknown[] = []
    for (let i = 0; i < inputs.length; i += batchSize) {
      const batch = inputs.slice(i, i + batchSize) as never[]
      outputs.push(...(await entry!.run({ model, tokenizer } as TextModel<never>, batch, settings as never)))
    }
    if (isList && entry!.givesLikeliest && settings.topK === undefined) return outputs.flat()
    return isList || entry!.givesList ? outputs : outputs[0]
  }
  return Object.assign(run as Pipeline<T>, { model, tokenizer, dispose: () => model.dispose() })
}

async function loadParts({ model }: TaskEntry, source: string, options: LoadOptions): Promise<TextModel> {
  const folder = await resolveModel(source, options)
  const tokenizer = await loadTokenizer(folder, options)
  return { model: await model.fromPretrained(folder, options), tokenizer }
}
