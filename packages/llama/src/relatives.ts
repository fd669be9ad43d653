/**
 * Relatives whose layer is LLaMA's sentence: rows of configuration. Defaults are those of HF's configuration classes, in
 * `transformers/models/<model_type>/configuration_<model_type>.py`.
 */
import { RMSNorm } from '@heed/layers'
import { constant, flag, type HfConfig, optionalSize, size, tokenId, tokenIds } from '@heed/transformer'
import { type LlamaConfig, layerTypes, type RelativeFields, relativeConfig, windowInAllLayers } from './config.ts'
import { LlamaAttention, LlamaDecoderLayer, llama } from './llama.ts'
import type { AttentionPart, Relative } from './parts.ts'
import { ropeTheta } from './rope-config.ts'

const noTokens = { bosTokenId: tokenId('bos_token_id'), eosTokenId: tokenIds('eos_token_id') }

/** Jiang et al. 2023 (arXiv:2310.06825): a sliding window. */
export const mistral: Relative = {
  ...llama,
  prefix: 'Mistral',
  config: relativeConfig<LlamaConfig>('mistral', {
    intermediateSize: size('intermediate_size', { fallback: 14336 }),
    numKeyValueHeads: size('num_key_value_heads', { fallback: 8 }),
    maxPositionEmbeddings: size('max_position_embeddings', { fallback: 4096 * 32 }),
    ...windowInAllLayers(),
    slidingWindow: { ...optionalSize('sliding_window'), fallback: 4096 },
    attentionBias: constant(false),
    mlpBias: constant(false),
  }),
}

/** Windows of Qwen2 and Qwen3: where `use_sliding_window` says so, in the layers from `max_window_layers` on. */
const qwenWindows: RelativeFields = {
  slidingWindow: {
    ...optionalSize('sliding_window'),
    find: ({ sliding_window: window, use_sliding_window: isUsed }: HfConfig) => ({
      key: 'sliding_window',
      value: isUsed === true ? (window ?? 4096) : null,
    }),
    entries: (window: number | null) => ({ sliding_window: window, use_sliding_window: window !== null }),
  },
  layerTypes: layerTypes((json, i) => json.use_sliding_window === true && i >= Number(json.max_window_layers ?? 28)),
}

const qwenFields = {
  vocabSize: size('vocab_size', { fallback: 151936 }),
  intermediateSize: size('intermediate_size', { fallback: 22016 }),
  numKeyValueHeads: size('num_key_value_heads', { fallback: 32 }),
  maxPositionEmbeddings: size('max_position_embeddings', { fallback: 32768 }),
  ...noTokens,
  ...qwenWindows,
  mlpBias: constant(false),
}

/** Yang et al. 2024 (arXiv:2407.10671), and Qwen2.5: biases of queries, keys and values. */
export const qwen2: Relative = {
  ...llama,
  prefix: 'Qwen2',
  config: relativeConfig<LlamaConfig>('qwen2', {
    ...qwenFields,
    attentionBias: constant(false),
    qkvBias: constant(true),
  }),
}

/** LLaMA's attention with a norm of each head's query and key, as Qwen3 has it. */
export function headNormAttention(config: LlamaConfig): LlamaAttention {
  return new LlamaAttention(config, { headNorm: () => new RMSNorm(config.headDim, config.rmsNormEps) })
}

export const qwen3Fields: RelativeFields = { ...qwenFields, headDim: size('head_dim', { fallback: 128 }) }

/** Yang et al. 2025 (arXiv:2505.09388): norms of queries and keys instead of biases. */
export const qwen3: Relative = {
  ...llama,
  prefix: 'Qwen3',
  config: relativeConfig<LlamaConfig>('qwen3', qwen3Fields),
  layer: config => new LlamaDecoderLayer(config, { attention: headNormAttention(config) }),
}

export interface SmolLm3Config extends LlamaConfig {
  /** 1 for each layer whose queries and keys turn by position, 0 for one without (HF's key, whose name says the opposite). */
  readonly noRopeLayers: readonly number[]
}

/** Attention without positions: the order of tokens shows in the mask alone. Kazemnejad et al. 2023 (arXiv:2305.19466). */
class AttentionWithoutPositions extends LlamaAttention {
  override forward(...[x, step, cache]: Parameters<LlamaAttention['forward']>): ReturnType<LlamaAttention['forward']> {
    return super.forward(x, { ...step, rotary: undefined }, cache)
  }
}

const everyFourth = (numLayers: number, interval: number): number[] =>
  Array.from({ length: numLayers }, (_, i) => Number((i + 1) % interval !== 0))

/** SmolLM3 (HuggingFaceTB/SmolLM3-3B): every fourth layer is without positions. */
export const smolLm3: Relative<SmolLm3Config> = {
  ...llama,
  prefix: 'SmolLM3',
  config: relativeConfig<SmolLm3Config>('smollm3', {
    vocabSize: size('vocab_size', { fallback: 128256 }),
    hiddenSize: size('hidden_size', { fallback: 2048 }),
    numHiddenLayers: size('num_hidden_layers', { fallback: 36 }),
    numAttentionHeads: size('num_attention_heads', { fallback: 16 }),
    numKeyValueHeads: size('num_key_value_heads', { fallback: 4 }),
    maxPositionEmbeddings: size('max_position_embeddings', { fallback: 32768 }),
    bosTokenId: tokenId('bos_token_id', 128000),
    eosTokenId: tokenIds('eos_token_id', [128001]),
    padTokenId: tokenId('pad_token_id', 128004),
    tieWordEmbeddings: flag('tie_word_embeddings', true),
    ropeTheta: ropeTheta(2000000),
    ...qwenWindows,
    layerTypes: layerTypes(
      (json, i) => json.use_sliding_window === true && (json.no_rope_layers as number[] | undefined)?.[i] === 0,
    ),
    noRopeLayers: {
      keys: ['no_rope_layers'],
      rule: 'a list of 1 and 0, one for each layer',
      isValid: value => Array.isArray(value) && value.every(item => item === 0 || item === 1),
      find: json => {
        if (json.no_rope_layers) return { key: 'no_rope_layers', value: json.no_rope_layers }
        const [count, interval] = [Number(json.num_hidden_layers ?? 36), Number(json.no_rope_layer_interval ?? 4)]
        return { key: 'no_rope_layer_interval', value: everyFourth(count, interval) }
      },
      fallback: ({ numHiddenLayers }) => everyFourth(numHiddenLayers as number, 4),
    },
  }),
  layer: (config, i): AttentionPart =>
    new LlamaDecoderLayer(
      config,
      config.noRopeLayers[i] === 0 ? { attention: new AttentionWithoutPositions(config) } : {},
    ),
}
