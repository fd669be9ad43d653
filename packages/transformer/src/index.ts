export { resolveModel } from '#hub'
export {
  type AutoClass,
  AutoModel,
  AutoModelForCausalLM,
  AutoModelForMaskedLM,
  AutoModelForQuestionAnswering,
  AutoModelForSeq2SeqLM,
  AutoModelForSequenceClassification,
  AutoModelForTokenClassification,
  type BareModel,
  type MaskedLm,
  type QuestionAnswerer,
  type SequenceClassifier,
  type TokenClassifier,
} from './auto.ts'
export { type BartConfig, BartForConditionalGeneration, bartArchitectures, bartConfig, marianConfig } from './bart.ts'
export {
  BertEmbeddings,
  BertLayer,
  BertModel,
  type BertModelOutput,
  type BertOptions,
} from './bert.ts'
export { type BertConfig, bertConfig, distilBertConfig, robertaConfig } from './bert-config.ts'
export {
  BertForMaskedLM,
  BertForPreTraining,
  BertForQuestionAnswering,
  BertForSequenceClassification,
  BertForTokenClassification,
  bertArchitectures,
  type MaskedLmInputs,
  type MaskedLmOutput,
  type PreTrainingInputs,
  type PreTrainingOutput,
  type QuestionAnsweringInputs,
  type QuestionAnsweringOutput,
  type SequenceClassificationInputs,
} from './bert-heads.ts'
export { type CacheOptions, kvCacheOptions } from './cache-options.ts'
export {
  type ClassifierOutput,
  lastTokens,
  rowsAt,
  type SequenceClassifierInputs,
  type SequenceLabels,
  sequenceLoss,
  tokenLoss,
} from './classification.ts'
export {
  activation,
  choice,
  constant,
  flag,
  labelNames,
  optionalReal,
  optionalSize,
  type ProblemType,
  problemType,
  rate,
  real,
  size,
  tokenId,
  tokenIds,
} from './config-fields.ts'
export {
  type DecoderStep,
  decoderStep,
  isNextToken,
  lastPositions,
  paddingMask,
  rotaryAngles,
} from './decoder-inputs.ts'
export { type EncoderInputs, encoderStep } from './encoder-inputs.ts'
export { BatchScheduler, type BatchSchedulerOptions } from './generation/batch/batch-scheduler.ts'
export type {
  BatchSequence,
  FinishReason,
  SequenceOptions,
  WrittenToken,
} from './generation/batch/batch-sequence.ts'
export type { ChosenLogProb, TokenLogProb } from './generation/batch/token-log-probs.ts'
export type { GenerationConfig, GenerationSettings } from './generation/config.ts'
export { Constraint } from './generation/constrained/constraint.ts'
export type { JsonSchema } from './generation/constrained/schema-keywords.ts'
export { CausalDecoding, type Decoding } from './generation/decoding.ts'
export type { LogitsProcessor } from './generation/logits-processors.ts'
export { computeTransitionScores, type GenerateOutput, type OutputOptions } from './generation/output.ts'
export type { GenerateOptions } from './generation/plan.ts'
export { PromptCache } from './generation/prompt-cache.ts'
export type { StoppingCriterion } from './generation/stopping.ts'
export type { Streamer } from './generation/streamer.ts'
export { type Prompt, streamText } from './generation/text-stream.ts'
export { type TokenBytes, tokenBytes } from './generation/token-bytes.ts'
export {
  Gpt2Attention,
  Gpt2Block,
  Gpt2ForSequenceClassification,
  Gpt2LMHeadModel,
  Gpt2Mlp,
  Gpt2Model,
  type Gpt2Options,
  gpt2Architectures,
} from './gpt2.ts'
export { type Gpt2Config, gpt2Config } from './gpt2-config.ts'
export {
  type BaseConfig,
  type ConfigRules,
  type ConfigTable,
  defineConfig,
  type Field,
  type Fields,
  type Violation,
} from './hf-config.ts'
export type { HfConfig } from './hf-json.ts'
export {
  checkIdShape,
  checkIds,
  type FlatIds,
  flattenIds,
  IGNORE_INDEX,
  idRows,
  idTensor,
  shiftedLabels,
  type TokenIds,
} from './inputs.ts'
export { runLayers, stackOutput } from './layer-stack.ts'
export { type AdapterCheckpoint, loadAdapter, openAdapter } from './loading/adapter.ts'
export {
  type Checkpoint,
  type CheckpointFormat,
  type CheckpointTensors,
  registerCheckpointFormat,
} from './loading/checkpoint-format.ts'
export {
  type CheckpointLocation,
  type LoadOptions,
  loadCheckpoint,
  loadPretrained,
  openPretrained,
} from './loading/from-pretrained.ts'
export { loadTokenizer } from './loading/load-tokenizer.ts'
export type { SaveOptions } from './loading/save-pretrained.ts'
export type { WeightDtype } from './loading/weight-dtype.ts'
export {
  type BaseModelOutput,
  CausalLm,
  type CausalLmInputs,
  type CausalLmOutput,
  type DecoderInputs,
  type InnerStates,
  PretrainedModel,
} from './model.ts'
export { type PerplexityOptions, type PerplexityResult, perplexity } from './perplexity.ts'
export type { FeatureExtractionOptions } from './pipelines/feature-extraction.ts'
export type { FilledMask, FillMaskOptions, FillMaskResult } from './pipelines/fill-mask.ts'
export {
  type BatchOptions,
  type Pipeline,
  type PipelineTask,
  type PipelineTasks,
  pipeline,
} from './pipelines/pipeline.ts'
export type { Answer, Question, QuestionAnsweringOptions } from './pipelines/question-answering.ts'
export type { TextModel, TextOrPair } from './pipelines/text-batch.ts'
export type { LabelScore, TextClassificationOptions } from './pipelines/text-classification.ts'
export type { GeneratedChat, GeneratedText, TextGenerationOptions } from './pipelines/text-generation.ts'
export type { SummarizedText, TextToTextOptions, TranslatedText } from './pipelines/text-to-text.ts'
export type { EntityGroup, TokenClassificationOptions, TokenLabel } from './pipelines/token-classification.ts'
export type { ZeroShotOptions, ZeroShotResult } from './pipelines/zero-shot.ts'
export { predictTokens, type TokenLabels } from './predict-tokens.ts'
export { type Architecture, registerArchitecture, registeredArchitectures, type Task } from './registry.ts'
export {
  type DecoderPass,
  type DecoderPassOutput,
  Seq2SeqCache,
  type Seq2SeqConfig,
  type Seq2SeqInputs,
  Seq2SeqLm,
  type Seq2SeqOutput,
} from './seq2seq.ts'
export { T5ForConditionalGeneration, t5Architectures } from './t5.ts'
export { type T5Config, type T5FeedForwardKind, t5Config } from './t5-config.ts'
export { stateFromTorch, stateToTorch } from './torch-transformer.ts'
export {
  Transformer,
  TransformerDecoderLayer,
  TransformerEncoderLayer,
  type TransformerLayerOptions,
  transformerArchitectures,
} from './transformer.ts'
export { type TransformerConfig, transformerConfig, transformerPresets } from './transformer-config.ts'
