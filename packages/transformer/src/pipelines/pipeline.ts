import { HeedError } from '@heed/tensor-backend'
import type { ChatMessage, Tokenizer } from '@heed/tokenizer'
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
import { invalidArgument } from '../invalid-argument.ts'
import type { LoadOptions } from '../loading/from-pretrained.ts'
import { loadTokenizer } from '../loading/load-tokenizer.ts'
import type { PretrainedModel } from '../model.ts'
import { extractFeatures, type FeatureExtractionOptions, featureExtractionOptions } from './feature-extraction.ts'
import { type FillMaskOptions, type FillMaskResult, fillMaskOptions, fillMasks } from './fill-mask.ts'
import { anything, checkOptions, count, type Rule, type Rules, text } from './options.ts'
import {
  type Answer,
  answerQuestions,
  type Question,
  type QuestionAnsweringOptions,
  questionAnsweringOptions,
  questionRule,
} from './question-answering.ts'
import type { TextModel, TextOrPair } from './text-batch.ts'
import {
  classifyTexts,
  type LabelScore,
  type TextClassificationOptions,
  textClassificationOptions,
  textOrPairRule,
} from './text-classification.ts'
import {
  continueTexts,
  type GeneratedChat,
  type GeneratedText,
  isChat,
  promptRule,
  type TextGenerationOptions,
  textGenerationOptions,
} from './text-generation.ts'
import {
  type SummarizedText,
  summarizeTexts,
  type TextToTextOptions,
  type TranslatedText,
  textToTextOptions,
  translateTexts,
} from './text-to-text.ts'
import {
  classifyTokens,
  type EntityGroup,
  type TokenClassificationOptions,
  type TokenLabel,
  tokenClassificationOptions,
} from './token-classification.ts'
import { type ZeroShotOptions, type ZeroShotResult, zeroShotByEmbeddings, zeroShotOptions } from './zero-shot.ts'

/**
 * What each task takes, how it is asked, and what it gives for each input: `one` where it gives something else for a single
 * one, `each` for those of a list when no `topK` is asked for. A conversation for `text-generation` is a type of `Pipeline`.
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
  'question-answering': {
    input: Question
    options: QuestionAnsweringOptions
    output: Answer | Answer[]
    one: Answer
    each: Answer
  }
  'feature-extraction': { input: string; options: FeatureExtractionOptions; output: number[][][] | number[] }
  translation: { input: string; options: TextToTextOptions; output: TranslatedText; one: TranslatedText[] }
  summarization: { input: string; options: TextToTextOptions; output: SummarizedText; one: SummarizedText[] }
  'zero-shot-classification': { input: string; options: ZeroShotOptions; output: ZeroShotResult }
  /** HF's other name of `token-classification`. */
  ner: PipelineTasks['token-classification']
  /** HF's other name of `text-classification`. */
  'sentiment-analysis': PipelineTasks['text-classification']
}

export type PipelineTask = keyof PipelineTasks
type Input<T extends PipelineTask> = PipelineTasks[T]['input']
type Output<T extends PipelineTask> = PipelineTasks[T]['output']
type OutputOfOne<T extends PipelineTask> = PipelineTasks[T] extends { one: infer One } ? One : Output<T>

type OutputOfEach<T extends PipelineTask> = PipelineTasks[T] extends { each: infer Each } ? Each : Output<T>
/** What only text-generation takes besides texts. */
type Chat<T extends PipelineTask> = T extends 'text-generation' ? readonly ChatMessage[] : never
/** With `topK` question-answering gives a list, unless there is one answer only. */
type SeveralAnswers<T extends PipelineTask> = T extends 'question-answering' ? { topK: number } : never
type WithoutTopK<T extends PipelineTask> = PipelineTasks[T] extends { each: unknown } ? { topK?: undefined } : unknown

export interface BatchOptions {
  /** How many inputs go through the model together; 8 by default. */
  batchSize?: number
}

/** A task ready to run: call it with one input, or with an array of them. */
export interface Pipeline<T extends PipelineTask> {
  (input: Input<T>, options: PipelineTasks[T]['options'] & BatchOptions & SeveralAnswers<T>): Promise<Output<T>>
  (input: Input<T>, options?: PipelineTasks[T]['options'] & BatchOptions): Promise<OutputOfOne<T>>
  /** Of a text-to-text task: a list for each text that has more than one. */
  (
    inputs: readonly Input<T>[],
    options: PipelineTasks[T]['options'] & BatchOptions & { numReturnSequences: number },
  ): Promise<OutputOfEach<T>[] | OutputOfOne<T>[]>
  (
    inputs: readonly Input<T>[],
    options?: PipelineTasks[T]['options'] & BatchOptions & WithoutTopK<T>,
  ): Promise<OutputOfEach<T>[]>
  (
    inputs: readonly Input<T>[],
    options: PipelineTasks[T]['options'] & BatchOptions & { topK: number | null },
  ): Promise<Output<T>[]>
  (chat: Chat<T>, options?: PipelineTasks[T]['options'] & BatchOptions): Promise<GeneratedChat[]>
  (chats: readonly Chat<T>[], options?: PipelineTasks[T]['options'] & BatchOptions): Promise<GeneratedChat[][]>
  readonly model: PretrainedModel
  readonly tokenizer: Tokenizer
  /** Frees the model. */
  dispose(): void
}

interface TaskEntry<Options = never> {
  model: { fromPretrained(location: string, options?: LoadOptions): Promise<PretrainedModel> }
  /** What one input is. */
  input: Rule
  options: Rules<Options>
  /** Whether each input gives a list, of which those of one are opened in the result of a list, as HF's text-to-text tasks do. */
  givesLists?: true
  /** Whether inputs of a list give their likeliest label alone where no `topK` is asked for. */
  givesLikeliest?: true
  run(parts: TextModel<never>, inputs: readonly never[], options: never): Promise<readonly unknown[]>
}

const classifiesTexts: TaskEntry<TextClassificationOptions> = {
  model: AutoModelForSequenceClassification,
  input: textOrPairRule,
  options: textClassificationOptions,
  run: classifyTexts,
  givesLikeliest: true,
}

const classifiesTokens: TaskEntry<TokenClassificationOptions> = {
  model: AutoModelForTokenClassification,
  input: text,
  options: tokenClassificationOptions,
  run: classifyTokens,
}

const textToText = {
  model: AutoModelForSeq2SeqLM,
  input: text,
  options: textToTextOptions,
  givesLists: true,
} as const

const tasks: { readonly [T in PipelineTask]: TaskEntry<PipelineTasks[T]['options']> } = {
  'fill-mask': { model: AutoModelForMaskedLM, input: text, options: fillMaskOptions, run: fillMasks },
  'text-generation': {
    model: AutoModelForCausalLM,
    input: promptRule,
    options: textGenerationOptions,
    run: continueTexts,
  },
  'text-classification': classifiesTexts,
  'token-classification': classifiesTokens,
  'question-answering': {
    model: AutoModelForQuestionAnswering,
    input: questionRule,
    options: questionAnsweringOptions,
    run: answerQuestions,
  },
  'feature-extraction': { model: AutoModel, input: text, options: featureExtractionOptions, run: extractFeatures },
  translation: { ...textToText, run: translateTexts },
  summarization: { ...textToText, run: summarizeTexts },
  'zero-shot-classification': { model: AutoModel, input: text, options: zeroShotOptions, run: zeroShotByEmbeddings },
  ner: classifiesTokens,
  'sentiment-analysis': classifiesTexts,
}

const loadOptions: Rules<LoadOptions> = {
  dtype: anything,
  config: anything,
  onProgress: anything,
  strict: anything,
  seed: anything,
  onWarning: anything,
  revision: anything,
  endpoint: anything,
  token: anything,
  cacheDir: anything,
  onDownload: anything,
}

const DEFAULT_BATCH_SIZE = 8

/**
 * A task with the model and tokenizer of a folder or hub id, or with ones at hand. Results have HF's fields in camelCase.
 * Throws HEED_ARGUMENT_INVALID on an unknown task, an input or option that it does not take, and what loading throws.
 */
export async function pipeline<T extends PipelineTask>(
  task: T,
  source: string | TextModel,
  options: LoadOptions = {},
): Promise<Pipeline<T>> {
  const entry = Object.hasOwn(tasks, task) ? (tasks[task] as TaskEntry<object>) : undefined
  if (!entry) {
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `pipeline: task is ${JSON.stringify(task)}, expected one of ${Object.keys(tasks).join(', ')}.`,
    )
  }
  checkLoadOptions(entry, options)
  const { model, tokenizer } = typeof source === 'string' ? await loadParts(entry, source, options) : source

  async function run(given: unknown, settings: BatchOptions & { topK?: number | null } = {}): Promise<unknown> {
    checkOptions(task, { ...entry!.options, batchSize: count }, settings)
    const { batchSize = DEFAULT_BATCH_SIZE, ...own } = settings
    // a pair of texts is given within a list: [['text', 'pair']]
    const isList = Array.isArray(given) && !(task === 'text-generation' && isChat(given))
    const inputs: unknown[] = isList ? given : [given]
    checkInputs(task, entry!.input, inputs, isList)
    const outputs: unknown[] = []
    for (let i = 0; i < inputs.length; i += batchSize) {
      const batch = inputs.slice(i, i + batchSize) as never[]
      outputs.push(...(await entry!.run({ model, tokenizer } as TextModel<never>, batch, own as never)))
    }
    if (!isList) return outputs[0]
    if (entry!.givesLikeliest && settings.topK === undefined) return outputs.flat()
    return entry!.givesLists && outputs.every(list => (list as unknown[]).length === 1) ? outputs.flat() : outputs
  }
  return Object.assign(run as unknown as Pipeline<T>, { model, tokenizer, dispose: () => model.dispose() })
}

function checkLoadOptions({ options: ofCall }: TaskEntry<object>, options: LoadOptions): void {
  const misplaced = Object.entries(options).find(
    ([name]) => !Object.hasOwn(loadOptions, name) && Object.hasOwn(ofCall, name),
  )
  if (misplaced) {
    const [name, value] = misplaced
    throw invalidArgument('pipeline', name, value, 'it in the call', `Give it there: run(input, { ${name} }).`)
  }
  checkOptions('pipeline', loadOptions, options)
}

function checkInputs(task: string, rule: Rule, inputs: readonly unknown[], isList: boolean): void {
  for (const [i, input] of inputs.entries()) {
    if (rule.holds(input)) continue
    throw invalidArgument(task, isList ? `input ${i}` : 'the input', input, rule.text, 'Give one, or a list of them.')
  }
}

async function loadParts({ model }: TaskEntry<object>, source: string, options: LoadOptions): Promise<TextModel> {
  const folder = await resolveModel(source, options)
  const tokenizer = await loadTokenizer(folder, options)
  return { model: await model.fromPretrained(folder, options), tokenizer }
}
