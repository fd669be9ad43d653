/** Everything in one package: the names of design and documentation, with every architecture registered. */
import { llamaArchitectures } from '@heed/llama'
import { registerArchitecture } from '@heed/transformer'

registerArchitecture(...llamaArchitectures)

export { type LlamaConfig, LlamaForCausalLM, LlamaModel, llamaConfig } from '@heed/llama'
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
  CausalLm,
  type GenerateOptions,
  type GenerationSettings,
  type LoadOptions,
  PretrainedModel,
  registerArchitecture,
  type SaveOptions,
  type Streamer,
} from '@heed/transformer'
