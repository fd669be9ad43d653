import type { Activation } from '@heed/tensor-backend'
import { activation, flag, rate, real, size, tokenId, tokenIds } from './config-fields.ts'
import { type ConfigTable, defineConfig } from './hf-config.ts'
import type { Seq2SeqConfig } from './seq2seq.ts'

/** The numbers that make a Transformer of 2017; the paper's letters are d_model, d_ff, N and h. */
export interface TransformerConfig extends Seq2SeqConfig {
  /** d_model */
  readonly hiddenSize: number
  /** d_ff */
  readonly intermediateSize: number
  /** N of the encoder and of the decoder. */
  readonly encoderLayers: number
  readonly decoderLayers: number
  /** h */
  readonly numAttentionHeads: number
  readonly hiddenAct: Activation
  /** Of the sum of embeddings and positions, and of the output of each sub-layer (section 5.4). */
  readonly hiddenDropout: number
  readonly attentionDropout: number
  readonly activationDropout: number
  readonly layerNormEps: number
  /** Norm before each sub-layer and not after it: trains without warm-up (Xiong et al. 2020, arXiv:2002.04745). */
  readonly isPreNorm: boolean
  /** Whether encoder and decoder end with a norm, as pre-normalisation needs and `torch.nn.Transformer` always has. */
  readonly hasFinalNorm: boolean
  /** Whether source and target have one embedding table. */
  readonly shareEmbeddings: boolean
  /** Whether the output projection is the target's embedding table. */
  readonly tieWordEmbeddings: boolean
  /** ε of section 5.4. */
  readonly labelSmoothing: number
  readonly bosTokenId: number | null
}

/** Reads, checks and writes the config.json of a `Transformer`; defaults are the base model of the paper. */
export const transformerConfig: ConfigTable<TransformerConfig> = defineConfig<TransformerConfig>(
  'transformer',
  {
    vocabSize: size('vocab_size', { fallback: 37000 }),
    hiddenSize: size('d_model', { fallback: 512 }),
    intermediateSize: size('d_ff', { fallback: 2048 }),
    encoderLayers: size('encoder_layers', { fallback: 6 }),
    decoderLayers: size('decoder_layers', { fallback: 6 }),
    numAttentionHeads: size('num_attention_heads', { fallback: 8 }),
    hiddenAct: activation('activation_function', 'relu'),
    hiddenDropout: rate('dropout', 0.1),
    attentionDropout: rate('attention_dropout', 0),
    activationDropout: rate('activation_dropout', 0),
    layerNormEps: real('layer_norm_eps', { min: 0, fallback: 1e-5 }),
    isPreNorm: flag('pre_norm', false),
    hasFinalNorm: { ...flag('final_norm', false), fallback: config => config.isPreNorm as boolean },
    shareEmbeddings: flag('share_embeddings', true),
    tieWordEmbeddings: flag('tie_word_embeddings', true),
    labelSmoothing: rate('label_smoothing', 0.1),
    padTokenId: tokenId('pad_token_id', 0),
    bosTokenId: tokenId('bos_token_id', 1),
    eosTokenId: tokenIds('eos_token_id', [2]),
    decoderStartTokenId: {
      ...tokenId('decoder_start_token_id'),
      fallback: config => config.bosTokenId as number | null,
    },
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
  },
)

/** The models of the paper's table 3. */
export const transformerPresets: Readonly<Record<'base' | 'big', Partial<TransformerConfig>>> = {
  base: {},
  big: { hiddenSize: 1024, intermediateSize: 4096, numAttentionHeads: 16, hiddenDropout: 0.3 },
}
