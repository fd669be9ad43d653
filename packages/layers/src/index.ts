export { activate } from '@heed/tensor-backend'
export {
  type AttentionStep,
  attend,
  MultiHeadAttention,
  type MultiHeadAttentionInputs,
  type MultiHeadAttentionOptions,
  mergeHeads,
  splitHeads,
} from './attention.ts'
export { BatchCache, BatchLayerCache } from './batch-cache.ts'
export { Conv1D } from './conv1d.ts'
export { Dropout, seedDropout } from './dropout.ts'
export { Embedding, type EmbeddingOptions } from './embedding.ts'
export { FeedForward, GatedFeedForward, type GatedFeedForwardOptions, gated } from './feed-forward.ts'
export {
  type Initializer,
  initializeParameters,
  initialValue,
  manualSeed,
  normal,
  ones,
  skipInitialization,
  uniform,
  xavierNormal,
  xavierUniform,
  zeros,
} from './initializers.ts'
export {
  type AttentionCache,
  type CacheDtype,
  KvCache,
  type KvCacheOptions,
  LayerCache,
  type LayerCacheOptions,
} from './kv-cache.ts'
export { LayerNorm } from './layer-norm.ts'
export { Linear, type LinearOptions } from './linear.ts'
export { hasWeightsIn, LoraAdapter, type LoraConfig } from './lora.ts'
export { hidesKeys, positionsFromMask } from './masks.ts'
export { type LayerPart, MixtureOfExperts, type MixtureOfExpertsOptions } from './mixture-of-experts.ts'
export { Module, type Parameter } from './module.ts'
export { RelativePositionBias, type RelativePositionBiasOptions } from './positions/relative-bias.ts'
export { type RopeFrequencies, type RopeParameters, ropeFrequencies } from './positions/rope-scaling.ts'
export { RotaryAngles, RotaryEmbedding, type RotaryEmbeddingOptions } from './positions/rotary.ts'
export { type SinusoidalLayout, SinusoidalPositions } from './positions/sinusoidal.ts'
export { quantizableLayers } from './quantize-parameter.ts'
export { Random } from './random.ts'
export { Recorder } from './recorder.ts'
export { RMSNorm } from './rms-norm.ts'
export { type LoadReport, matchStateDict, type StateDict } from './state-dict.ts'
