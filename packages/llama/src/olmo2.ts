/**
 * OLMo 2: norms stand behind attention and feed-forward instead of before them, and queries and keys are normalised whole.
 * OLMo team 2024 (arXiv:2501.00656), section 3. Same numbers, keys and files as HF `transformers/models/olmo2`.
 */
import { type AttentionCache, Dropout, GatedFeedForward, Linear, Module, RMSNorm, splitHeads } from '@heed/layers'
import { tf } from '@heed/tensor-backend'
import { constant, lastPositions, real, size, tokenId, tokenIds } from '@heed/transformer'
import { type LlamaConfig, relativeConfig } from './config.ts'
import { llama, rotaryAttention } from './llama.ts'
import type { LlamaStep, Relative } from './parts.ts'

/** Attention whose norms of queries and keys span all heads. */
export class Olmo2Attention extends Module {
  readonly qProj: Linear
  readonly kProj: Linear
  readonly vProj: Linear
  readonly oProj: Linear
  readonly qNorm: RMSNorm
  readonly kNorm: RMSNorm
  readonly dropout: Dropout

  constructor(readonly config: LlamaConfig) {
    super()
    const { hiddenSize, numAttentionHeads, numKeyValueHeads, headDim, rmsNormEps, attentionBias: bias } = config
    const [querySize, keySize] = [numAttentionHeads * headDim, numKeyValueHeads * headDim]
    this.qProj = this.child('q_proj', new Linear(hiddenSize, querySize, { bias }))
    this.kProj = this.child('k_proj', new Linear(hiddenSize, keySize, { bias }))
    this.vProj = this.child('v_proj', new Linear(hiddenSize, keySize, { bias }))
    this.oProj = this.child('o_proj', new Linear(querySize, hiddenSize, { bias }))
    this.qNorm = this.child('q_norm', new RMSNorm(querySize, rmsNormEps))
    this.kNorm = this.child('k_norm', new RMSNorm(keySize, rmsNormEps))
    this.dropout = this.child('dropout', new Dropout(config.attentionDropout))
  }

  /** x: [batch, seqLen, hiddenSize] -> same shape. */
  forward(x: tf.Tensor, step: LlamaStep, cache?: AttentionCache): tf.Tensor {
    const { numAttentionHeads, numKeyValueHeads } = this.config
    const q = splitHeads(this.qNorm.forward(this.qProj.forward(x)), numAttentionHeads)
    const k = splitHeads(this.kNorm.forward(this.kProj.forward(x)), numKeyValueHeads)
    const v = splitHeads(this.vProj.forward(x), numKeyValueHeads)
    return this.oProj.forward(rotaryAttention([q, k, v], step, cache, this.dropout.option))
  }
}

/** One post-norm layer: h = x + norm(attention(x)); y = h + norm(mlp(h)). */
export class Olmo2DecoderLayer extends Module {
  readonly selfAttn: Olmo2Attention
  readonly mlp: GatedFeedForward
  readonly postAttentionLayernorm: RMSNorm
  readonly postFeedforwardLayernorm: RMSNorm

  constructor(config: LlamaConfig) {
    super()
    const { hiddenSize, intermediateSize, rmsNormEps } = config
    this.selfAttn = this.child('self_attn', new Olmo2Attention(config))
    this.mlp = this.child('mlp', new GatedFeedForward(hiddenSize, intermediateSize))
    this.postAttentionLayernorm = this.child('post_attention_layernorm', new RMSNorm(hiddenSize, rmsNormEps))
    this.postFeedforwardLayernorm = this.child('post_feedforward_layernorm', new RMSNorm(hiddenSize, rmsNormEps))
  }

  /** x: [batch, seqLen, hiddenSize] -> same shape. */
  forward(x: tf.Tensor, step: LlamaStep, cache?: AttentionCache): tf.Tensor {
    return tf.tidy(() => {
      const attended = this.selfAttn.forward(x, step, cache)
      const h = tf.add(lastPositions(x, step.positionsToKeep), this.postAttentionLayernorm.forward(attended))
      return tf.add(h, this.postFeedforwardLayernorm.forward(this.mlp.forward(h)))
    })
  }
}

export const olmo2: Relative = {
  ...llama,
  prefix: 'Olmo2',
  config: relativeConfig<LlamaConfig>('olmo2', {
    vocabSize: size('vocab_size', { fallback: 50304 }),
    rmsNormEps: real('rms_norm_eps', { min: 0, fallback: 1e-5 }),
    bosTokenId: tokenId('bos_token_id'),
    eosTokenId: tokenIds('eos_token_id', [50279]),
    padTokenId: tokenId('pad_token_id', 1),
    mlpBias: constant(false),
  }),
  layer: config => new Olmo2DecoderLayer(config),
}
