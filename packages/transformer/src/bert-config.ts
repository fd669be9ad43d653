import type { Activation } from '@heed/tensor-backend'
import {
  activation,
  flag,
  labelNames,
  type ProblemType,
  problemType,
  rate,
  real,
  size,
  tokenId,
  tokenIds,
} from './config-fields.ts'
import { type BaseConfig, type ConfigTable, defineConfig, type Field, type Violation } from './hf-config.ts'

/** The numbers that make a BERT, a RoBERTa or a DistilBERT; names are BERT's keys in camelCase. */
export interface BertConfig extends BaseConfig {
  readonly vocabSize: number
  readonly hiddenSize: number
  readonly numHiddenLayers: number
  readonly numAttentionHeads: number
  readonly intermediateSize: number
  readonly hiddenAct: Activation
  readonly hiddenDropout: number
  readonly attentionDropout: number
  /** Dropout before a classifier; null for hiddenDropout. */
  readonly classifierDropout: number | null
  readonly questionDropout: number
  readonly maxPositionEmbeddings: number
  /** 0 where there are no token types. */
  readonly typeVocabSize: number
  readonly initializerRange: number
  readonly layerNormEps: number
  readonly bosTokenId: number | null
  readonly eosTokenId: readonly number[]
  readonly padTokenId: number | null
  readonly tieWordEmbeddings: boolean
  readonly labels: readonly string[]
  readonly problemType: ProblemType | null
}

/** Where a relative's checkpoint has the parts of BERT, and the three choices in which its sentence differs. */
export interface BertLayout {
  /** HF's prefix of class names. */
  classPrefix: string
  /** Key of the bare model within one with a head. */
  base: string
  layers: string
  attention: readonly [query: string, key: string, value: string, output: string]
  attentionNorm: string
  intermediate: string
  output: string
  outputNorm: string
  /** Positions are counted from padTokenId + 1, and padding has none. */
  countsTokensOnly: boolean
  hasPooler: boolean
  /** Its activation is hiddenAct where none is named. */
  mlmHead: { dense: string; norm: string; bias: string; decoder: string; activation?: Activation }
  /** Null where the pooler takes the part of the dense layer. */
  classifier: { dense: string | null; activation: 'tanh' | 'relu'; output: string }
}

const bertLayout: BertLayout = {
  classPrefix: 'Bert',
  base: 'bert',
  layers: 'encoder.layer',
  attention: ['self.query', 'self.key', 'self.value', 'output.dense'],
  attentionNorm: 'attention.output.LayerNorm',
  intermediate: 'intermediate.dense',
  output: 'output.dense',
  outputNorm: 'output.LayerNorm',
  countsTokensOnly: false,
  hasPooler: true,
  mlmHead: {
    dense: 'cls.predictions.transform.dense',
    norm: 'cls.predictions.transform.LayerNorm',
    bias: 'cls.predictions.bias',
    decoder: 'cls.predictions.decoder',
  },
  classifier: { dense: null, activation: 'tanh', output: 'classifier' },
}

/** By `model_type`. */
export const bertLayouts: Readonly<Record<string, BertLayout>> = {
  bert: bertLayout,
  roberta: {
    ...bertLayout,
    classPrefix: 'Roberta',
    base: 'roberta',
    countsTokensOnly: true,
    mlmHead: {
      dense: 'lm_head.dense',
      norm: 'lm_head.layer_norm',
      bias: 'lm_head.bias',
      decoder: 'lm_head.decoder',
      activation: 'gelu',
    },
    classifier: { dense: 'classifier.dense', activation: 'tanh', output: 'classifier.out_proj' },
  },
  distilbert: {
    classPrefix: 'DistilBert',
    base: 'distilbert',
    layers: 'transformer.layer',
    attention: ['q_lin', 'k_lin', 'v_lin', 'out_lin'],
    attentionNorm: 'sa_layer_norm',
    intermediate: 'ffn.lin1',
    output: 'ffn.lin2',
    outputNorm: 'output_layer_norm',
    countsTokensOnly: false,
    hasPooler: false,
    mlmHead: {
      dense: 'vocab_transform',
      norm: 'vocab_layer_norm',
      bias: 'vocab_projector.bias',
      decoder: 'vocab_projector',
    },
    classifier: { dense: 'pre_classifier', activation: 'relu', output: 'classifier' },
  },
}

function check({ hiddenSize, numAttentionHeads }: BertConfig): Violation<BertConfig> | undefined {
  if (hiddenSize % numAttentionHeads === 0) return undefined
  return {
    field: 'numAttentionHeads',
    rule: key => `a divisor of ${key('hiddenSize')} (${hiddenSize})`,
    mend: () => 'Change one of them.',
  }
}

/** A field that this model type's config.json does not have. */
function constant<T>(value: T): Field<T> {
  return { keys: [''], rule: '', isValid: () => true, entries: () => ({}), fallback: value }
}

const optionalRate: Field<number | null> = {
  ...rate('classifier_dropout', 0),
  rule: 'null or a number from 0 to below 1',
  isValid: value => value === null || rate('classifier_dropout', 0).isValid(value),
  fallback: null,
}

const shared = {
  vocabSize: size('vocab_size', { fallback: 30522 }),
  hiddenSize: size('hidden_size', { fallback: 768 }),
  numHiddenLayers: size('num_hidden_layers', { fallback: 12 }),
  numAttentionHeads: size('num_attention_heads', { fallback: 12 }),
  intermediateSize: size('intermediate_size', { fallback: 3072 }),
  hiddenAct: activation('hidden_act', 'gelu'),
  hiddenDropout: rate('hidden_dropout_prob', 0.1),
  attentionDropout: rate('attention_probs_dropout_prob', 0.1),
  classifierDropout: optionalRate,
  questionDropout: constant(0),
  maxPositionEmbeddings: size('max_position_embeddings', { fallback: 512 }),
  typeVocabSize: size('type_vocab_size', { fallback: 2 }),
  initializerRange: real('initializer_range', { min: 0, fallback: 0.02 }),
  layerNormEps: real('layer_norm_eps', { min: 0, fallback: 1e-12 }),
  bosTokenId: tokenId('bos_token_id'),
  eosTokenId: tokenIds('eos_token_id'),
  padTokenId: tokenId('pad_token_id', 0),
  tieWordEmbeddings: flag('tie_word_embeddings', true),
  labels: labelNames,
  problemType,
}

const rules = {
  check,
  unserved: { is_decoder: [false], add_cross_attention: [false], position_embedding_type: ['absolute'] },
}

/** Reads, checks and writes a BERT's config.json; defaults are those of HF `BertConfig`. */
export const bertConfig: ConfigTable<BertConfig> = defineConfig<BertConfig>('bert', shared, rules)

/** The same for RoBERTa; defaults are those of HF `RobertaConfig`. */
export const robertaConfig: ConfigTable<BertConfig> = defineConfig<BertConfig>(
  'roberta',
  {
    ...shared,
    vocabSize: size('vocab_size', { fallback: 50265 }),
    bosTokenId: tokenId('bos_token_id', 0),
    eosTokenId: tokenIds('eos_token_id', [2]),
    padTokenId: tokenId('pad_token_id', 1),
  },
  rules,
)

/** The same for DistilBERT; defaults are those of HF `DistilBertConfig`. */
export const distilBertConfig: ConfigTable<BertConfig> = defineConfig<BertConfig>(
  'distilbert',
  {
    ...shared,
    hiddenSize: size('dim', { fallback: 768 }),
    numHiddenLayers: size('n_layers', { fallback: 6 }),
    numAttentionHeads: size('n_heads', { fallback: 12 }),
    intermediateSize: size('hidden_dim', { fallback: 3072 }),
    hiddenAct: activation('activation', 'gelu'),
    hiddenDropout: rate('dropout', 0.1),
    attentionDropout: rate('attention_dropout', 0.1),
    classifierDropout: {
      ...optionalRate,
      keys: ['seq_classif_dropout'],
      floatKeys: ['seq_classif_dropout'],
      fallback: 0.2,
    },
    questionDropout: rate('qa_dropout', 0.1),
    typeVocabSize: constant(0),
    layerNormEps: constant(1e-12),
  },
  { check },
)

/** The table of a configuration's model type. */
export function bertConfigTable(modelType: string): ConfigTable<BertConfig> {
  return { roberta: robertaConfig, distilbert: distilBertConfig }[modelType] ?? bertConfig
}
