import type { RopeParameters } from '@heed/layers'
import { type Activation, HeedError } from '@heed/tensor-backend'
import {
  type BaseConfig,
  type ConfigRules,
  type ConfigTable,
  choice,
  constant,
  defineConfig,
  type Field,
  type Fields,
  flag,
  type HfConfig,
  labelNames,
  optionalSize,
  type ProblemType,
  problemType,
  rate,
  real,
  size,
  tokenId,
  tokenIds,
  type Violation,
} from '@heed/transformer'
import { type RopeScaling, ropeScaling, ropeTheta, wholeRotaryFactor } from './rope-config.ts'

/** Whether a layer's queries see all earlier keys, or the last `slidingWindow`. */
export type LayerType = 'full_attention' | 'sliding_attention'

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
  readonly hiddenAct: Activation
  readonly maxPositionEmbeddings: number
  readonly initializerRange: number
  readonly rmsNormEps: number
  readonly bosTokenId: number | null
  readonly eosTokenId: readonly number[]
  readonly padTokenId: number | null
  /** Whether the output projection is the embedding table. */
  readonly tieWordEmbeddings: boolean
  readonly ropeTheta: number
  readonly partialRotaryFactor: number
  /** How rotary angles are stretched for contexts longer than trained; null when they are not. */
  readonly ropeScaling: RopeScaling | null
  /** Whether the projections of attention have biases; `qkvBias` (Qwen2): those of queries, keys and values alone. */
  readonly attentionBias: boolean
  readonly qkvBias: boolean
  readonly attentionDropout: number
  /** Whether the projections of the feed-forward layer have biases. */
  readonly mlpBias: boolean
  /** How many positions back a query sees in layers of type sliding_attention; null where there are none. */
  readonly slidingWindow: number | null
  readonly layerTypes: readonly LayerType[]
  /** Names of the classes of a classification head. */
  readonly labels: readonly string[]
  readonly problemType: ProblemType | null
}

function check(config: LlamaConfig): Violation<LlamaConfig> | undefined {
  const { hiddenSize, numAttentionHeads, numKeyValueHeads, headDim, numHiddenLayers, layerTypes } = config
  if (!Number.isInteger(headDim)) {
    return {
      field: 'numAttentionHeads',
      rule: key => `a divisor of ${key('hiddenSize')} (${hiddenSize})`,
      mend: key => `Change one of them, or set ${key('headDim')}.`,
    }
  }
  if (rotaryDim(config) % 2 !== 0) {
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
  if (config.ropeScaling?.ropeType === 'longrope') {
    const { shortFactor, longFactor } = config.ropeScaling
    const count = rotaryDim(config) / 2
    if (shortFactor.length !== count || longFactor.length !== count) {
      return {
        field: 'ropeScaling',
        rule: () => `short_factor and long_factor of ${count} numbers, one for each pair of channels that turns`,
        mend: () =>
          `There are ${shortFactor.length} and ${longFactor.length}: take them from the model's own config.json.`,
      }
    }
  }
  if (layerTypes.length !== numHiddenLayers) {
    return {
      field: 'layerTypes',
      rule: key => `one type for each of the ${numHiddenLayers} layers (${key('numHiddenLayers')})`,
      mend: key => `Change ${key('layerTypes')}.`,
    }
  }
  return undefined
}

const noWindow: Field<number | null> = constant<number | null>(null)

/** The types of layers that a model does not tell apart: all have the window, if there is one. */
const equalLayers: Field<readonly LayerType[]> = {
  ...layerTypes(() => false),
  keys: [],
  find: () => undefined,
  entries: () => ({}),
}

/** The types of layers, told by `layer_types` or, in older files, by other keys: `isSliding`. */
export function layerTypes(isSliding: (json: HfConfig, layerIdx: number) => boolean): Field<readonly LayerType[]> {
  return {
    keys: ['layer_types'],
    rule: 'a list of "full_attention" and "sliding_attention"',
    isValid: value =>
      Array.isArray(value) && value.every(type => type === 'full_attention' || type === 'sliding_attention'),
    find: json => {
      if (json.layer_types) return { key: 'layer_types', value: json.layer_types }
      const count = Number(json.num_hidden_layers)
      if (!Number.isSafeInteger(count)) return undefined
      const types = Array.from({ length: count }, (_, i) => typeName(isSliding(json, i)))
      return { key: 'num_hidden_layers', value: types }
    },
    fallback: ({ numHiddenLayers, slidingWindow }) =>
      Array.from({ length: numHiddenLayers as number }, () => typeName(slidingWindow !== null)),
  }
}

const typeName = (isSliding: boolean): LayerType => (isSliding ? 'sliding_attention' : 'full_attention')

/** LLaMA's fields; defaults are those of HF `LlamaConfig`. A relative's differ in some. */
export const llamaFields: Fields<LlamaConfig> = {
  vocabSize: size('vocab_size', { fallback: 32000 }),
  hiddenSize: size('hidden_size', { fallback: 4096 }),
  intermediateSize: size('intermediate_size', { fallback: 11008 }),
  numHiddenLayers: size('num_hidden_layers', { fallback: 32 }),
  numAttentionHeads: size('num_attention_heads', { fallback: 32 }),
  numKeyValueHeads: size('num_key_value_heads', { fallback: config => config.numAttentionHeads as number }),
  headDim: size('head_dim', {
    fallback: config => (config.hiddenSize as number) / (config.numAttentionHeads as number),
  }),
  hiddenAct: choice<Activation>('hidden_act', { silu: 'silu' }, { fallback: 'silu' }),
  maxPositionEmbeddings: size('max_position_embeddings', { fallback: 2048 }),
  initializerRange: real('initializer_range', { min: 0, fallback: 0.02 }),
  rmsNormEps: real('rms_norm_eps', { min: 0, fallback: 1e-6 }),
  bosTokenId: tokenId('bos_token_id', 1),
  eosTokenId: tokenIds('eos_token_id', [2]),
  padTokenId: tokenId('pad_token_id'),
  tieWordEmbeddings: flag('tie_word_embeddings', false),
  ropeTheta: ropeTheta(),
  partialRotaryFactor: wholeRotaryFactor,
  ropeScaling,
  attentionBias: flag('attention_bias', false),
  qkvBias: constant(false),
  attentionDropout: rate('attention_dropout', 0),
  mlpBias: flag('mlp_bias', false),
  slidingWindow: noWindow,
  layerTypes: equalLayers,
  labels: labelNames,
  problemType,
}

/** Fields in which a relative differs from LLaMA. */
export type RelativeFields = Partial<Fields<LlamaConfig>>

/** Fields of relatives whose layers all have the window of `sliding_window`. */
export function windowInAllLayers(): Pick<Fields<LlamaConfig>, 'slidingWindow' | 'layerTypes'> {
  return { slidingWindow: optionalSize('sliding_window'), layerTypes: equalLayers }
}

/** A relative's configuration: LLaMA's, with other fields in the place of some or beside them. */
export function relativeConfig<C extends LlamaConfig>(
  modelType: string,
  fields: Omit<Fields<C>, keyof Fields<LlamaConfig>> & RelativeFields,
  rules: ConfigRules<C> = {},
): ConfigTable<C> {
  const table = defineConfig<C>(modelType, { ...llamaFields, ...fields } as Fields<C>, {
    check: config => (check(config) as Violation<C> | undefined) ?? rules.check?.(config),
    unserved: { quantization_config: [], ...rules.unserved },
  })
  const fromHf = (json: HfConfig, source: string): C => {
    const type = json.model_type ?? modelType
    if (type === modelType) return table.fromHf(json, source)
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      `${source}: model_type is ${JSON.stringify(type)}, expected "${modelType}". Load it with an Auto class, which finds its architecture.`,
    )
  }
  return { ...table, fromHf }
}

/** Reads, checks and writes a LLaMA's config.json; defaults are those of HF `LlamaConfig`. */
export const llamaConfig: ConfigTable<LlamaConfig> = relativeConfig<LlamaConfig>('llama', {})

/** How many channels of each head turn. */
export function rotaryDim({ headDim, partialRotaryFactor: share }: LlamaConfig): number {
  return Math.floor(headDim * share)
}

/** The angles of a configuration, as `RotaryEmbedding` wants them. */
export function ropeParameters({ ropeTheta: theta, ropeScaling: scaling, ...config }: LlamaConfig): RopeParameters {
  const { maxPositionEmbeddings } = config
  if (scaling?.ropeType === 'dynamic') return { ropeTheta: theta, ...scaling, maxPositionEmbeddings } as RopeParameters
  if (scaling?.ropeType === 'longrope') {
    const factor = maxPositionEmbeddings / scaling.originalMaxPositionEmbeddings
    return { ropeTheta: theta, factor, ...scaling }
  }
  return { ropeTheta: theta, ...(scaling ?? { ropeType: 'default' }) } as RopeParameters
}
