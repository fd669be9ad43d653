export { llamaArchitectures } from './architectures.ts'
export { type LayerType, type LlamaConfig, llamaConfig } from './config.ts'
export {
  type Gemma2Config,
  Gemma2DecoderLayer,
  type Gemma3Config,
  GemmaRMSNorm,
  gemma,
  gemma2,
  gemma3,
} from './gemma.ts'
export { LlamaForSequenceClassification } from './heads.ts'
export { LlamaAttention, LlamaDecoderLayer, LlamaForCausalLM, LlamaModel, llama } from './llama.ts'
export {
  type MixtralConfig,
  mixtral,
  type Qwen2MoeConfig,
  Qwen2MoeMlp,
  type QwenMoeConfig,
  qwen2Moe,
  qwen3Moe,
} from './mixtral.ts'
export { Olmo2Attention, Olmo2DecoderLayer, olmo2 } from './olmo2.ts'
export type { LlamaAttentionOptions, LlamaLayerParts, LlamaOptions, Relative } from './parts.ts'
export { Phi3Attention, Phi3Mlp, phi3 } from './phi3.ts'
export { mistral, qwen2, qwen3, type SmolLm3Config, smolLm3 } from './relatives.ts'
export { relatives } from './relatives-by-type.ts'
export type { RopeScaling } from './rope-config.ts'
export { llamaFormats } from './sources/formats.ts'
export { type GgufVocabularyPairs, type WriteGgufModelOptions, writeGgufModel } from './sources/gguf-write.ts'
export { inspectLlama2c, type Llama2cFile } from './sources/llama2c.ts'
