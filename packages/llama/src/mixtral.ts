/**
 * Mixtral, Qwen2-MoE and Qwen3-MoE: LLaMA's layer with a mixture of experts for its feed-forward part.
 * Jiang et al. 2024 (arXiv:2401.04088), section 2; Yang et al. 2024-25 (arXiv:2407.10671, arXiv:2505.09388).
 * Same numbers, keys and files as HF `transformers/models/mixtral`, `qwen2_moe` and `qwen3_moe`; the loss that balances the
 * experts in training is not served.
 */
import { GatedFeedForward, type LayerPart, Linear, MixtureOfExperts, Module } from '@heed/layers'
import { tf } from '@heed/tensor-backend'
import { constant, type Field, flag, real, size } from '@heed/transformer'
import { type LlamaConfig, layerTypes, relativeConfig, windowInAllLayers } from './config.ts'
import { LlamaDecoderLayer, llama } from './llama.ts'
import type { Relative } from './parts.ts'
import { headNormAttention, qwen3Fields } from './relatives.ts'
import { ropeTheta } from './rope-config.ts'

/** What experts add to LLaMA's numbers. */
export interface MixtralConfig extends LlamaConfig {
  readonly numExperts: number
  readonly numExpertsPerTok: number
}

function expertsOf(config: MixtralConfig, normTopkProb: boolean, expert: () => LayerPart): MixtureOfExperts {
  const { hiddenSize, numExperts, numExpertsPerTok } = config
  return new MixtureOfExperts(hiddenSize, { numExperts, numExpertsPerTok, normTopkProb }, expert)
}

export const mixtral: Relative<MixtralConfig> = {
  ...llama,
  prefix: 'Mixtral',
  config: relativeConfig<MixtralConfig>(
    'mixtral',
    {
      intermediateSize: size('intermediate_size', { fallback: 14336 }),
      numKeyValueHeads: size('num_key_value_heads', { fallback: 8 }),
      maxPositionEmbeddings: size('max_position_embeddings', { fallback: 4096 * 32 }),
      rmsNormEps: real('rms_norm_eps', { min: 0, fallback: 1e-5 }),
      ropeTheta: ropeTheta(1000000),
      attentionBias: constant(false),
      mlpBias: constant(false),
      ...windowInAllLayers(),
      numExperts: size('num_local_experts', { fallback: 8 }),
      numExpertsPerTok: size('num_experts_per_tok', { fallback: 2 }),
    },
    { unserved: { router_jitter_noise: [0], output_router_logits: [false] } },
  ),
  layer: config => {
    const { hiddenSize, intermediateSize } = config
    const expert = (): LayerPart => new GatedFeedForward(hiddenSize, intermediateSize, { keys: ['w1', 'w3', 'w2'] })
    return new LlamaDecoderLayer(config, { mlp: expertsOf(config, true, expert), mlpKey: 'block_sparse_moe' })
  },
}

/** What Qwen's mixtures have besides: layers without experts, and smaller experts. */
export interface QwenMoeConfig extends MixtralConfig {
  /** Width of one expert; layers without experts are `intermediateSize` wide. */
  readonly moeIntermediateSize: number
  readonly normTopkProb: boolean
  /** Every `decoderSparseStep`-th layer has experts, but for those of `mlpOnlyLayers`, counted from 0. */
  readonly decoderSparseStep: number
  readonly mlpOnlyLayers: readonly number[]
}

const layerList: Field<readonly number[]> = {
  keys: ['mlp_only_layers'],
  rule: 'a list of layers, counted from 0',
  isValid: value => Array.isArray(value) && value.every(item => Number.isSafeInteger(item) && item >= 0),
  fallback: [],
}

const qwenMoeFields = {
  ...qwen3Fields,
  hiddenSize: size('hidden_size', { fallback: 2048 }),
  numHiddenLayers: size('num_hidden_layers', { fallback: 24 }),
  numExperts: size(['num_experts', 'num_local_experts'], { fallback: 128 }),
  numExpertsPerTok: size('num_experts_per_tok', { fallback: 8 }),
  moeIntermediateSize: size('moe_intermediate_size', { fallback: 768 }),
  normTopkProb: flag('norm_topk_prob', false),
  decoderSparseStep: size('decoder_sparse_step', { fallback: 1 }),
  mlpOnlyLayers: layerList,
}

const unserved = { output_router_logits: [false] }

const hasExperts = ({ mlpOnlyLayers, decoderSparseStep }: QwenMoeConfig, i: number): boolean =>
  !mlpOnlyLayers.includes(i) && (i + 1) % decoderSparseStep === 0

function qwenExperts(config: QwenMoeConfig): MixtureOfExperts {
  const { hiddenSize, moeIntermediateSize, normTopkProb } = config
  return expertsOf(config, normTopkProb, () => new GatedFeedForward(hiddenSize, moeIntermediateSize))
}

export const qwen3Moe: Relative<QwenMoeConfig> = {
  ...llama,
  prefix: 'Qwen3Moe',
  config: relativeConfig<QwenMoeConfig>(
    'qwen3_moe',
    {
      ...qwenMoeFields,
      intermediateSize: size('intermediate_size', { fallback: 6144 }),
      numKeyValueHeads: size('num_key_value_heads', { fallback: 4 }),
      headDim: llamaHeadDim(),
      ...windowInAllLayers(),
      slidingWindow: qwen3Fields.slidingWindow!,
    },
    { unserved },
  ),
  layer: (config, i) =>
    new LlamaDecoderLayer(config, {
      attention: headNormAttention(config),
      ...(hasExperts(config, i) && { mlp: qwenExperts(config) }),
    }),
}

/** HF's configuration of Qwen-MoE has no default width of a head: it follows from the others. */
function llamaHeadDim(): Field<number> {
  return size('head_dim', {
    fallback: config => (config.hiddenSize as number) / (config.numAttentionHeads as number),
  })
}

export interface Qwen2MoeConfig extends QwenMoeConfig {
  readonly sharedExpertIntermediateSize: number
}

/** Experts of which one sees every token: y = experts(x) + σ(x · wᵀ) · shared(x). */
export class Qwen2MoeMlp extends Module {
  readonly experts: MixtureOfExperts
  readonly sharedExpert: GatedFeedForward
  readonly sharedExpertGate: Linear

  constructor(config: Qwen2MoeConfig) {
    super()
    const { hiddenSize, sharedExpertIntermediateSize } = config
    this.experts = this.child('', qwenExperts(config))
    this.sharedExpert = this.child('shared_expert', new GatedFeedForward(hiddenSize, sharedExpertIntermediateSize))
    this.sharedExpertGate = this.child('shared_expert_gate', new Linear(hiddenSize, 1, { bias: false }))
  }

  /** x: [..., hiddenSize] -> same shape. */
  forward(x: tf.Tensor): tf.Tensor {
    return tf.tidy(() => {
      const shared = tf.mul(tf.sigmoid(this.sharedExpertGate.forward(x)), this.sharedExpert.forward(x))
      return tf.add(this.experts.forward(x), shared)
    })
  }
}

export const qwen2Moe: Relative<Qwen2MoeConfig> = {
  ...llama,
  prefix: 'Qwen2Moe',
  config: relativeConfig<Qwen2MoeConfig>(
    'qwen2_moe',
    {
      ...qwenMoeFields,
      numAttentionHeads: size('num_attention_heads', { fallback: 16 }),
      numKeyValueHeads: size('num_key_value_heads', { fallback: 16 }),
      intermediateSize: size('intermediate_size', { fallback: 5632 }),
      headDim: llamaHeadDim(),
      attentionBias: constant(false),
      qkvBias: flag('qkv_bias', true),
      layerTypes: layerTypes(
        (json, i) => json.use_sliding_window === true && i % 2 === 0 && i < Number(json.max_window_layers ?? 28),
      ),
      numExperts: size(['num_experts', 'num_local_experts'], { fallback: 60 }),
      numExpertsPerTok: size('num_experts_per_tok', { fallback: 4 }),
      moeIntermediateSize: size('moe_intermediate_size', { fallback: 1408 }),
      sharedExpertIntermediateSize: size('shared_expert_intermediate_size', { fallback: 5632 }),
    },
    { unserved },
  ),
  layer: (config, i) => new LlamaDecoderLayer(config, hasExperts(config, i) ? { mlp: new Qwen2MoeMlp(config) } : {}),
}
