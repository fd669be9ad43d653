import type { Activation } from '@heed/tensor-backend'
import {
  activation,
  flag,
  labelNames,
  optionalSize,
  type ProblemType,
  problemType,
  rate,
  real,
  size,
  tokenId,
  tokenIds,
} from './config-fields.ts'
import { type BaseConfig, type ConfigTable, defineConfig } from './hf-config.ts'

/** The numbers that make a GPT-2; names are HF's for other models in camelCase, its own spellings are in the table below. */
export interface Gpt2Config extends BaseConfig {
  readonly vocabSize: number
  readonly maxPositionEmbeddings: number
  readonly hiddenSize: number
  readonly numHiddenLayers: number
  readonly numAttentionHeads: number
  /** Width of the feed-forward layer; null for 4 · hiddenSize. */
  readonly intermediateSize: number | null
  readonly hiddenAct: Activation
  readonly hiddenDropout: number
  readonly embeddingDropout: number
  readonly attentionDropout: number
  readonly layerNormEps: number
  readonly initializerRange: number
  readonly bosTokenId: number | null
  readonly eosTokenId: readonly number[]
  readonly padTokenId: number | null
  readonly tieWordEmbeddings: boolean
  /** Whether scores are divided by sqrt(headDim), and by the number of the layer, from 1. */
  readonly scaleAttnWeights: boolean
  readonly scaleAttnByInverseLayerIdx: boolean
  /** Names of the classes of a classification head. */
  readonly labels: readonly string[]
  readonly problemType: ProblemType | null
}

/** Reads, checks and writes a GPT-2's config.json; defaults are those of HF `GPT2Config`. */
export const gpt2Config: ConfigTable<Gpt2Config> = defineConfig<Gpt2Config>(
  'gpt2',
  {
    vocabSize: size('vocab_size', { fallback: 50257 }),
    maxPositionEmbeddings: size('n_positions', { fallback: 1024 }),
    hiddenSize: size('n_embd', { fallback: 768 }),
    numHiddenLayers: size('n_layer', { fallback: 12 }),
    numAttentionHeads: size('n_head', { fallback: 12 }),
    intermediateSize: optionalSize('n_inner'),
    hiddenAct: activation('activation_function', 'geluTanh'),
    hiddenDropout: rate('resid_pdrop', 0.1),
    embeddingDropout: rate('embd_pdrop', 0.1),
    attentionDropout: rate('attn_pdrop', 0.1),
    layerNormEps: real('layer_norm_epsilon', { min: 0, fallback: 1e-5 }),
    initializerRange: real('initializer_range', { min: 0, fallback: 0.02 }),
    bosTokenId: tokenId('bos_token_id', 50256),
    eosTokenId: tokenIds('eos_token_id', [50256]),
    padTokenId: tokenId('pad_token_id'),
    tieWordEmbeddings: flag('tie_word_embeddings', true),
    scaleAttnWeights: flag('scale_attn_weights', true),
    scaleAttnByInverseLayerIdx: flag('scale_attn_by_inverse_layer_idx', false),
    labels: labelNames,
    problemType,
  },
  {
    check: ({ hiddenSize, numAttentionHeads }) =>
      hiddenSize % numAttentionHeads === 0
        ? undefined
        : {
            field: 'numAttentionHeads',
            rule: key => `a divisor of ${key('hiddenSize')} (${hiddenSize})`,
            mend: () => 'Change one of them.',
          },
    unserved: { add_cross_attention: [false] },
  },
)
