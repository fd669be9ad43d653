import { choice, rate, real, size, tokenId, tokenIds } from './config-fields.ts'
import { type ConfigTable, defineConfig, type Field } from './hf-config.ts'
import type { Seq2SeqConfig } from './seq2seq.ts'

/** The numbers that make a T5. */
export interface T5Config extends Seq2SeqConfig {
  readonly hiddenSize: number
  readonly headDim: number
  readonly intermediateSize: number
  readonly numHiddenLayers: number
  readonly numDecoderLayers: number
  readonly numAttentionHeads: number
  readonly relativeAttentionNumBuckets: number
  readonly relativeAttentionMaxDistance: number
  readonly hiddenDropout: number
  readonly rmsNormEps: number
  readonly initializerFactor: number
  readonly feedForward: T5FeedForwardKind
  /** The head is the embedding table and reads states scaled by 1 / sqrt(hiddenSize), as before version 1.1. */
  readonly tieWordEmbeddings: boolean
}

export type T5FeedForwardKind = 'relu' | 'gelu' | 'gatedGelu' | 'gatedSilu'

/** transformers 5 always says it ties, and tells version 1.1 by `scale_decoder_outputs`. */
const tieWordEmbeddings: Field<boolean> = {
  keys: ['tie_word_embeddings', 'scale_decoder_outputs'],
  rule: 'true or false',
  isValid: value => typeof value === 'boolean',
  find: json => {
    const key = ['scale_decoder_outputs', 'tie_word_embeddings'].find(name => typeof json[name] === 'boolean')
    return key === undefined ? undefined : { key, value: json[key] }
  },
  entries: value => ({ tie_word_embeddings: value, scale_decoder_outputs: value }),
  fallback: true,
}

/** Reads, checks and writes a T5's config.json; defaults are those of HF `T5Config`. */
export const t5Config: ConfigTable<T5Config> = defineConfig<T5Config>('t5', {
  vocabSize: size('vocab_size', { fallback: 32128 }),
  hiddenSize: size('d_model', { fallback: 512 }),
  headDim: size('d_kv', { fallback: 64 }),
  intermediateSize: size('d_ff', { fallback: 2048 }),
  numHiddenLayers: size('num_layers', { fallback: 6 }),
  numDecoderLayers: size('num_decoder_layers', { fallback: config => config.numHiddenLayers as number }),
  numAttentionHeads: size('num_heads', { fallback: 8 }),
  relativeAttentionNumBuckets: size('relative_attention_num_buckets', { fallback: 32 }),
  relativeAttentionMaxDistance: size('relative_attention_max_distance', { fallback: 128 }),
  hiddenDropout: rate('dropout_rate', 0.1),
  rmsNormEps: real('layer_norm_epsilon', { min: 0, fallback: 1e-6 }),
  initializerFactor: real('initializer_factor', { min: 0, fallback: 1 }),
  feedForward: choice<T5FeedForwardKind>(
    'feed_forward_proj',
    { relu: 'relu', gelu: 'gelu', 'gated-gelu': 'gatedGelu', 'gated-silu': 'gatedSilu' },
    { fallback: 'relu' },
  ),
  padTokenId: tokenId('pad_token_id', 0),
  eosTokenId: tokenIds('eos_token_id', [1]),
  decoderStartTokenId: { ...tokenId('decoder_start_token_id'), fallback: config => config.padTokenId as number | null },
  tieWordEmbeddings,
})
