import type { RopeParameters } from '@heed/layers'
import {
  type BaseConfig,
  type ConfigTable,
  choice,
  defineConfig,
  flag,
  optionalSize,
  rate,
  real,
  size,
  tokenId,
  tokenIds,
  type Violation,
} from '@heed/transformer'
import { type RopeScaling, ropeScaling, ropeTheta } from './rope-config.ts'

/** The numbers that make a LLaMA; names are HF's in camelCase. */
export interface LlamaConfig extends BaseConfig {
  readonly vocabSize: number
  readonly hiddenSize: number
  /** Width of the feed-forward layer. */
  readonly intermediateSize: number
  readonly numHiddenLayers: number
  readonly numAttentionHeads: number
  /** Heads of keys and values; each serves numAttentionHeads / numKeyValueHeads query heads. */
  readonly numKeyValueHeads: number
  readonly headDim: number
  readonly hiddenAct: 'silu'
  readonly maxPositionEmbeddings: number
  readonly initializerRange: number
  readonly rmsNormEps: number
  readonly bosTokenId: number | null
  readonly eosTokenId: readonly number[]
  readonly padTokenId: number | null
  /** Whether the output projection is the embedding table. */
  readonly tieWordEmbeddings: boolean
  readonly ropeTheta: number
  /** How rotary angles are stretched for contexts longer than trained; null when they are not. */
  readonly ropeScaling: RopeScaling | null
  /** Whether the projections of attention have biases. */
  readonly attentionBias: boolean
  readonly attentionDropout: number
  /** Whether the projections of the feed-forward layer have biases. */
  readonly mlpBias: boolean
  /** How many positions back a query sees (Mistral); null when all. */
  readonly slidingWindow: number | null
}

/** HF's prefix of class names by `model_type`: relatives whose layer is the same sentence. */
export const classPrefixes: Readonly<Record<string, string>> = { llama: 'Llama', mistral: 'Mistral' }

function check(config: LlamaConfig): Violation<LlamaConfig> | undefined {
  const { hiddenSize, numAttentionHeads, numKeyValueHeads, headDim } = config
  if (!Number.isInteger(headDim)) {
    return {
      field: 'numAttentionHeads',
      rule: key => `a divisor of ${key('hiddenSize')} (${hiddenSize})`,
      mend: key => `Change one of them, or set ${key('headDim')}.`,
    }
  }
  if (headDim % 2 !== 0) {
    return {
      field: 'headDim',
      rule: () => 'an even number, since rotary positions turn pairs of channels',
      mend: key => `Change ${key('hiddenSize')} or ${key('numAttentionHeads')}.`,
    }
  }
  if (numAttentionHeads % numKeyValueHeads !== 0) {
    return {
      field: 'numAttentionHeads',
      rule: key => `a multiple of ${key('numKeyValueHeads')} (${numKeyValueHeads})`,
      mend: key =>
        `Set ${key('numKeyValueHeads')} to a divisor of ${numAttentionHeads}, or leave it out for one per query head.`,
    }
  }
  return undefined
}

/** Reads, checks and writes a LLaMA's config.json; defaults are those of HF `LlamaConfig`. */
export const llamaConfig: ConfigTable<LlamaConfig> = defineConfig<LlamaConfig>(
  'llama',
  {
    vocabSize: size('vocab_size', { fallback: 32000 }),
    hiddenSize: size('hidden_size', { fallback: 4096 }),
    intermediateSize: size('intermediate_size', { fallback: 11008 }),
    numHiddenLayers: size('num_hidden_layers', { fallback: 32 }),
    numAttentionHeads: size('num_attention_heads', { fallback: 32 }),
    numKeyValueHeads: size('num_key_value_heads', { fallback: config => config.numAttentionHeads as number }),
    headDim: size('head_dim', {
      fallback: config => (config.hiddenSize as number) / (config.numAttentionHeads as number),
    }),
    hiddenAct: choice('hidden_act', { silu: 'silu' }, { fallback: 'silu' }),
    maxPositionEmbeddings: size('max_position_embeddings', { fallback: 2048 }),
    initializerRange: real('initializer_range', { min: 0, fallback: 0.02 }),
    rmsNormEps: real('rms_norm_eps', { min: 0, fallback: 1e-6 }),
    bosTokenId: tokenId('bos_token_id', 1),
    eosTokenId: tokenIds('eos_token_id', [2]),
    padTokenId: tokenId('pad_token_id'),
    tieWordEmbeddings: flag('tie_word_embeddings', false),
    ropeTheta,
    ropeScaling,
    attentionBias: flag('attention_bias', false),
    attentionDropout: rate('attention_dropout', 0),
    mlpBias: flag('mlp_bias', false),
    slidingWindow: optionalSize('sliding_window'),
  },
  { check, unserved: { quantization_config: [] } },
)

/** The angles of a configuration, as `RotaryEmbedding` wants them. */
export function ropeParameters({ ropeTheta, ropeScaling }: LlamaConfig): RopeParameters {
  return { ropeTheta, ...(ropeScaling ?? { ropeType: 'default' }) }
}
