/**
 * Phi-3: LLaMA with one projection for queries, keys and values and one for gate and up, and where the configuration says so
 * heads of which only a part turns by position. Abdin et al. 2024 (arXiv:2404.14219). Same numbers, keys and files as HF
 * `transformers/models/phi3`.
 */
import { type AttentionCache, Dropout, gated, Linear, Module, splitHeads } from '@heed/layers'
import { tf } from '@heed/tensor-backend'
import { constant, real, size, tokenId, tokenIds } from '@heed/transformer'
import { type LlamaConfig, relativeConfig, windowInAllLayers } from './config.ts'
import { LlamaDecoderLayer, llama, rotaryAttention } from './llama.ts'
import type { LlamaStep, Relative } from './parts.ts'
import { partialRotaryFactor } from './rope-config.ts'

/** LLaMA's attention with its three projections in one. */
export class Phi3Attention extends Module {
  readonly qkvProj: Linear
  readonly oProj: Linear
  readonly dropout: Dropout

  constructor(readonly config: LlamaConfig) {
    super()
    const { hiddenSize, numAttentionHeads, numKeyValueHeads, headDim } = config
    const size = (numAttentionHeads + 2 * numKeyValueHeads) * headDim
    this.qkvProj = this.child('qkv_proj', new Linear(hiddenSize, size, { bias: false }))
    this.oProj = this.child('o_proj', new Linear(numAttentionHeads * headDim, hiddenSize, { bias: false }))
    this.dropout = this.child('dropout', new Dropout(config.attentionDropout))
  }

  /** x: [batch, seqLen, hiddenSize] -> same shape. */
  forward(x: tf.Tensor, step: LlamaStep, cache?: AttentionCache): tf.Tensor {
    const { numAttentionHeads, numKeyValueHeads } = this.config
    const heads = splitHeads(this.qkvProj.forward(x), numAttentionHeads + 2 * numKeyValueHeads)
    const parts = tf.split(heads, [numAttentionHeads, numKeyValueHeads, numKeyValueHeads], 2)
    const qkv = parts as [tf.Tensor, tf.Tensor, tf.Tensor] // [batch, seqLen, numHeads | numKeyValueHeads, headDim]
    return this.oProj.forward(rotaryAttention(qkv, step, cache, this.dropout.option))
  }
}

/** SwiGLU with gate and up in one projection. */
export class Phi3Mlp extends Module {
  readonly gateUpProj: Linear
  readonly downProj: Linear

  constructor({ hiddenSize, intermediateSize }: LlamaConfig) {
    super()
    this.gateUpProj = this.child('gate_up_proj', new Linear(hiddenSize, 2 * intermediateSize, { bias: false }))
    this.downProj = this.child('down_proj', new Linear(intermediateSize, hiddenSize, { bias: false }))
  }

  /** x: [..., hiddenSize] -> same shape. */
  forward(x: tf.Tensor): tf.Tensor {
    return tf.tidy(() => {
      const [gate, up] = tf.split(this.gateUpProj.forward(x), 2, -1) as [tf.Tensor, tf.Tensor]
      return this.downProj.forward(gated(gate, up, 'silu'))
    })
  }
}

export const phi3: Relative = {
  ...llama,
  prefix: 'Phi3',
  config: relativeConfig<LlamaConfig>(
    'phi3',
    {
      vocabSize: size('vocab_size', { fallback: 32064 }),
      hiddenSize: size('hidden_size', { fallback: 3072 }),
      intermediateSize: size('intermediate_size', { fallback: 8192 }),
      maxPositionEmbeddings: size('max_position_embeddings', { fallback: 4096 }),
      rmsNormEps: real('rms_norm_eps', { min: 0, fallback: 1e-5 }),
      eosTokenId: tokenIds('eos_token_id', [32000]),
      padTokenId: tokenId('pad_token_id', 32000),
      attentionBias: constant(false),
      mlpBias: constant(false),
      partialRotaryFactor,
      ...windowInAllLayers(),
    },
    { unserved: { resid_pdrop: [0], embd_pdrop: [0] } },
  ),
  layer: config => new LlamaDecoderLayer(config, { attention: new Phi3Attention(config), mlp: new Phi3Mlp(config) }),
}
