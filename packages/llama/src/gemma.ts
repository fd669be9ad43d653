/**
 * Gemma 1, 2 and 3 (text): GeGLU, norms that count from 1, embeddings scaled by sqrt(hiddenSize). Gemma 2 and 3 put a norm behind
 * attention and feed-forward too and alternate windows with full attention; Gemma 2 caps scores and logits softly, Gemma 3
 * normalises queries and keys and turns layers with a window by a base of their own.
 * Gemma team 2024-25 (arXiv:2403.08295, arXiv:2408.00118, arXiv:2503.19786). Same numbers, keys and files as HF
 * `transformers/models/gemma`, `gemma2` and `gemma3`. Images are not served.
 */
import { type AttentionCache, GatedFeedForward, Module, type Parameter, RotaryEmbedding } from '@heed/layers'
import { type Activation, rmsNorm, tf } from '@heed/tensor-backend'
import {
  choice,
  constant,
  flag,
  lastPositions,
  optionalReal,
  optionalSize,
  size,
  tokenId,
  tokenIds,
} from '@heed/transformer'
import { type LlamaConfig, layerTypes, relativeConfig, rotaryDim } from './config.ts'
import { LlamaAttention, LlamaDecoderLayer, llama } from './llama.ts'
import type { LlamaAttentionOptions, LlamaStep, Relative } from './parts.ts'
import { ropeLocalBaseFreq, ropeTheta } from './rope-config.ts'

/** y = x / sqrt(mean(x²) + eps) · (1 + weight), over the last axis; same numbers as HF `GemmaRMSNorm`. */
export class GemmaRMSNorm extends Module {
  readonly weight: Parameter // [hiddenSize]

  constructor(
    readonly hiddenSize: number,
    readonly eps: number,
  ) {
    super()
    this.weight = this.parameter('weight', tf.zeros([hiddenSize]))
  }

  /** x: [..., hiddenSize] -> same shape. Throws HEED_SHAPE_MISMATCH. */
  forward(x: tf.Tensor): tf.Tensor {
    return tf.tidy(() => rmsNorm(x, tf.add(this.weight, 1), this.eps))
  }
}

const gemmaNorm = ({ hiddenSize, rmsNormEps }: LlamaConfig): GemmaRMSNorm => new GemmaRMSNorm(hiddenSize, rmsNormEps)

const gemmaMlp = ({ hiddenSize, intermediateSize, hiddenAct }: LlamaConfig): GatedFeedForward =>
  new GatedFeedForward(hiddenSize, intermediateSize, { activation: hiddenAct })

const gemmaFields = {
  vocabSize: size('vocab_size', { fallback: 256000 }),
  headDim: size('head_dim', { fallback: 256 }),
  maxPositionEmbeddings: size('max_position_embeddings', { fallback: 8192 }),
  bosTokenId: tokenId('bos_token_id', 2),
  eosTokenId: tokenIds('eos_token_id', [1]),
  padTokenId: tokenId('pad_token_id', 0),
  tieWordEmbeddings: flag('tie_word_embeddings', true),
  mlpBias: constant(false),
}

const tanhGelu = { gelu_pytorch_tanh: 'geluTanh' } as const

const unserved = { use_bidirectional_attention: [false] }

export const gemma: Relative = {
  ...llama,
  prefix: 'Gemma',
  config: relativeConfig<LlamaConfig>(
    'gemma',
    {
      ...gemmaFields,
      hiddenSize: size('hidden_size', { fallback: 3072 }),
      intermediateSize: size('intermediate_size', { fallback: 24576 }),
      numHiddenLayers: size('num_hidden_layers', { fallback: 28 }),
      numAttentionHeads: size('num_attention_heads', { fallback: 16 }),
      numKeyValueHeads: size('num_key_value_heads', { fallback: 16 }),
      // first files name the exact GELU; what they mean is the tanh form, as in HF
      hiddenAct: choice<Activation>('hidden_act', { ...tanhGelu, gelu: 'geluTanh' }, { fallback: 'geluTanh' }),
    },
    { unserved },
  ),
  layer: config => new LlamaDecoderLayer(config, { mlp: gemmaMlp(config), norm: () => gemmaNorm(config) }),
  norm: gemmaNorm,
  scaleEmbeddings: (x, { hiddenSize }) => tf.mul(x, Math.fround(Math.sqrt(hiddenSize))),
}

/** What Gemma 2 and 3 have beside LLaMA's numbers. */
export interface Gemma2Config extends LlamaConfig {
  /** Scores are divided by its square root. */
  readonly queryPreAttnScalar: number
  /** Scores and logits s become cap · tanh(s / cap); null leaves them. */
  readonly attnLogitSoftcapping: number | null
  readonly finalLogitSoftcapping: number | null
}

function attentionOptions({ queryPreAttnScalar, attnLogitSoftcapping: softcap }: Gemma2Config): LlamaAttentionOptions {
  return { scale: queryPreAttnScalar ** -0.5, ...(softcap !== null && { softcap }) }
}

/** A layer with norms on both sides: h = x + norm(attention(norm(x))); y = h + norm(mlp(norm(h))). */
export class Gemma2DecoderLayer extends Module {
  readonly selfAttn: LlamaAttention
  readonly mlp: GatedFeedForward
  readonly inputLayernorm: GemmaRMSNorm
  readonly postAttentionLayernorm: GemmaRMSNorm
  readonly preFeedforwardLayernorm: GemmaRMSNorm
  readonly postFeedforwardLayernorm: GemmaRMSNorm

  constructor(config: Gemma2Config, attention: LlamaAttentionOptions = {}) {
    super()
    this.selfAttn = this.child('self_attn', new LlamaAttention(config, { ...attentionOptions(config), ...attention }))
    this.mlp = this.child('mlp', gemmaMlp(config))
    this.inputLayernorm = this.child('input_layernorm', gemmaNorm(config))
    this.postAttentionLayernorm = this.child('post_attention_layernorm', gemmaNorm(config))
    this.preFeedforwardLayernorm = this.child('pre_feedforward_layernorm', gemmaNorm(config))
    this.postFeedforwardLayernorm = this.child('post_feedforward_layernorm', gemmaNorm(config))
  }

  /** x: [batch, seqLen, hiddenSize] -> same shape. */
  forward(x: tf.Tensor, step: LlamaStep, cache?: AttentionCache): tf.Tensor {
    return tf.tidy(() => {
      const attended = this.selfAttn.forward(this.inputLayernorm.forward(x), step, cache)
      const h = tf.add(lastPositions(x, step.positionsToKeep), this.postAttentionLayernorm.forward(attended))
      const fed = this.mlp.forward(this.preFeedforwardLayernorm.forward(h))
      return tf.add(h, this.postFeedforwardLayernorm.forward(fed))
    })
  }
}

const gemma2Fields = {
  ...gemmaFields,
  hiddenSize: size('hidden_size', { fallback: 2304 }),
  intermediateSize: size('intermediate_size', { fallback: 9216 }),
  numHiddenLayers: size('num_hidden_layers', { fallback: 26 }),
  numAttentionHeads: size('num_attention_heads', { fallback: 8 }),
  numKeyValueHeads: size('num_key_value_heads', { fallback: 4 }),
  hiddenAct: choice<Activation>('hidden_activation', tanhGelu, { fallback: 'geluTanh' }),
  slidingWindow: { ...optionalSize('sliding_window'), fallback: 4096 },
  queryPreAttnScalar: size('query_pre_attn_scalar', { fallback: 256 }), // transformers 5 refuses a fraction, and 256.0 too
}

export const gemma2: Relative<Gemma2Config> = {
  ...gemma,
  prefix: 'Gemma2',
  config: relativeConfig<Gemma2Config>(
    'gemma2',
    {
      ...gemma2Fields,
      layerTypes: layerTypes((_, i) => i % 2 === 0),
      attnLogitSoftcapping: optionalReal('attn_logit_softcapping', 50),
      finalLogitSoftcapping: optionalReal('final_logit_softcapping', 30),
    },
    { unserved },
  ),
  layer: config => new Gemma2DecoderLayer(config),
  capLogits: (logits, { finalLogitSoftcapping: cap }) =>
    cap === null ? logits : tf.mul(tf.tanh(tf.div(logits, cap)), cap),
}

export interface Gemma3Config extends Gemma2Config {
  /** Base of the rotary angles in layers with a window. */
  readonly ropeLocalBaseFreq: number
}

/** The text part of Gemma 3. */
export const gemma3: Relative<Gemma3Config> = {
  ...gemma2,
  prefix: 'Gemma3',
  textPrefix: 'Gemma3Text',
  config: relativeConfig<Gemma3Config>(
    'gemma3_text',
    {
      ...gemma2Fields,
      vocabSize: size('vocab_size', { fallback: 262208 }),
      maxPositionEmbeddings: size('max_position_embeddings', { fallback: 131072 }),
      layerTypes: layerTypes((json, i) => (i + 1) % Number(json.sliding_window_pattern ?? 6) !== 0),
      ropeTheta: ropeTheta(1000000),
      attnLogitSoftcapping: constant<number | null>(null), // HF passes over the key
      finalLogitSoftcapping: optionalReal('final_logit_softcapping', null),
      ropeLocalBaseFreq,
    },
    { unserved },
  ),
  layer: config => {
    const headNorm = (): GemmaRMSNorm => new GemmaRMSNorm(config.headDim, config.rmsNormEps)
    return new Gemma2DecoderLayer(config, { headNorm })
  },
  localRotary: config =>
    new RotaryEmbedding(rotaryDim(config), { ropeType: 'default', ropeTheta: config.ropeLocalBaseFreq }),
}
