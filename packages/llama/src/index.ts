export { llamaArchitectures } from './architectures.ts'
export { type LlamaConfig, llamaConfig } from './config.ts'
export { LlamaAttention, LlamaDecoderLayer, LlamaForCausalLM, LlamaModel, type LlamaOptions } from './llama.ts'
export type { RopeScaling } from './rope-config.ts'
