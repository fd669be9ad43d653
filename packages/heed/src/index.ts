/** Everything in one package: the names of design and documentation, with every architecture registered. */
import { llamaArchitectures, llamaFormats } from '@heed/llama'
import {
  bartArchitectures,
  bertArchitectures,
  gpt2Architectures,
  registerArchitecture,
  registerCheckpointFormat,
  t5Architectures,
  transformerArchitectures,
} from '@heed/transformer'

registerArchitecture(
  ...transformerArchitectures,
  ...bertArchitectures,
  ...gpt2Architectures,
  ...bartArchitectures,
  ...t5Architectures,
  ...llamaArchitectures,
)
registerCheckpointFormat(...llamaFormats)

export {
  inspectLlama2c,
  type Llama2cFile,
  type LlamaConfig,
  LlamaForCausalLM,
  LlamaModel,
  llamaConfig,
  writeGgufModel,
} from '@heed/llama'
export {
  type BackendName,
  type BackendReport,
  HeedError,
  type HeedErrorCode,
  type InitOptions,
  init,
  isHeedError,
  readSafetensors,
  tf,
  writeSafetensors,
} from '@heed/tensor-backend'
export { BpeTrainer, createByteLevelBpe, type Encoding, Tokenizer } from '@heed/tokenizer'
export {
  causalLmCollator,
  loadTextCorpus,
  PackedTokens,
  Trainer,
  type TrainerCallback,
  type TrainingArguments,
} from '@heed/trainer'
export {
  AutoModel,
  AutoModelForCausalLM,
  AutoModelForMaskedLM,
  AutoModelForQuestionAnswering,
  AutoModelForSeq2SeqLM,
  AutoModelForSequenceClassification,
  AutoModelForTokenClassification,
  BartForConditionalGeneration,
  BatchScheduler,
  type BatchSequence,
  BertForMaskedLM,
  BertForPreTraining,
  BertForSequenceClassification,
  BertModel,
  bertConfig,
  CausalLm,
  Constraint,
  computeTransitionScores,
  type GenerateOptions,
  type GenerateOutput,
  type GenerationSettings,
  Gpt2LMHeadModel,
  Gpt2Model,
  gpt2Config,
  type LoadOptions,
  loadTokenizer,
  type Pipeline,
  type PipelineTask,
  PretrainedModel,
  PromptCache,
  pipeline,
  registerArchitecture,
  resolveModel,
  type SaveOptions,
  Seq2SeqLm,
  type Streamer,
  streamText,
  T5ForConditionalGeneration,
  Transformer,
  transformerConfig,
} from '@heed/transformer'
