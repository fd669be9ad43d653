/**
 * BART and Marian: the encoder-decoder of transformer.ts with learned positions and a norm of the embeddings (BART), or
 * sinusoidal positions and scaled embeddings (Marian). Lewis et al. 2019 (arXiv:1910.13461); Junczys-Dowmunt et al. 2018
 * (arXiv:1804.00344). Same numbers and files as HF `transformers/models/bart` and `marian`, for conditional generation.
 */
import {
  Dropout,
  Embedding,
  type Initializer,
  initializeParameters,
  LayerNorm,
  Linear,
  Module,
  normal,
  ones,
  type Parameter,
  SinusoidalPositions,
  skipInitialization,
  zeros,
} from '@heed/layers'
import { type Activation, tf } from '@heed/tensor-backend'
import type { CacheOptions } from './cache-options.ts'
import { activation, flag, rate, real, size, tokenId, tokenIds } from './config-fields.ts'
import { type DecoderStep, decoderStep, lastPositions, learnedPositions } from './decoder-inputs.ts'
import { type EncoderInputs, encoderStep } from './encoder-inputs.ts'
import { type ConfigTable, defineConfig } from './hf-config.ts'
import type { HfConfig } from './hf-json.ts'
import { idTensor } from './inputs.ts'
import { runLayers, stackOutput } from './layer-stack.ts'
import type { BaseModelOutput } from './model.ts'
import type { Architecture } from './registry.ts'
import { type DecoderPass, type DecoderPassOutput, Seq2SeqCache, type Seq2SeqConfig, Seq2SeqLm } from './seq2seq.ts'
import { crossStep, TransformerDecoderLayer, TransformerEncoderLayer } from './transformer.ts'

/** The numbers that make a BART or a Marian. */
export interface BartConfig extends Seq2SeqConfig {
  readonly maxPositionEmbeddings: number
  readonly hiddenSize: number
  readonly encoderLayers: number
  readonly encoderIntermediateSize: number
  readonly encoderAttentionHeads: number
  readonly decoderLayers: number
  readonly decoderIntermediateSize: number
  readonly decoderAttentionHeads: number
  readonly hiddenAct: Activation
  readonly hiddenDropout: number
  readonly attentionDropout: number
  readonly activationDropout: number
  readonly initializerRange: number
  /** Whether embeddings are multiplied by sqrt(hiddenSize). */
  readonly scaleEmbedding: boolean
  readonly bosTokenId: number | null
  readonly tieWordEmbeddings: boolean
}

/** What tells the relatives apart, by `model_type`. */
const kinds: Readonly<Record<string, { architecture: string; hasLearnedPositions: boolean }>> = {
  bart: { architecture: 'BartForConditionalGeneration', hasLearnedPositions: true },
  marian: { architecture: 'MarianMTModel', hasLearnedPositions: false },
}

/** BART's tables of positions begin with two rows that nothing reads. */
const POSITION_SHIFT = 2

const fields = {
  vocabSize: size('vocab_size', { fallback: 50265 }),
  maxPositionEmbeddings: size('max_position_embeddings', { fallback: 1024 }),
  hiddenSize: size('d_model', { fallback: 1024 }),
  encoderLayers: size('encoder_layers', { fallback: 12 }),
  encoderIntermediateSize: size('encoder_ffn_dim', { fallback: 4096 }),
  encoderAttentionHeads: size('encoder_attention_heads', { fallback: 16 }),
  decoderLayers: size('decoder_layers', { fallback: 12 }),
  decoderIntermediateSize: size('decoder_ffn_dim', { fallback: 4096 }),
  decoderAttentionHeads: size('decoder_attention_heads', { fallback: 16 }),
  hiddenAct: activation('activation_function', 'gelu'),
  hiddenDropout: rate('dropout', 0.1),
  attentionDropout: rate('attention_dropout', 0),
  activationDropout: rate('activation_dropout', 0),
  initializerRange: real('init_std', { min: 0, fallback: 0.02 }),
  scaleEmbedding: flag('scale_embedding', false),
  padTokenId: tokenId('pad_token_id', 1),
  bosTokenId: tokenId('bos_token_id', 0),
  eosTokenId: tokenIds('eos_token_id', [2]),
  decoderStartTokenId: tokenId('decoder_start_token_id', 2),
  tieWordEmbeddings: flag('tie_word_embeddings', true),
}

/** Reads, checks and writes a BART's config.json; defaults are those of HF `BartConfig`. */
export const bartConfig: ConfigTable<BartConfig> = defineConfig<BartConfig>('bart', fields)

/** The same for Marian; defaults are those of HF `MarianConfig`. */
export const marianConfig: ConfigTable<BartConfig> = defineConfig<BartConfig>(
  'marian',
  {
    ...fields,
    vocabSize: size('vocab_size', { fallback: 58101 }),
    padTokenId: tokenId('pad_token_id', 58100),
    eosTokenId: tokenIds('eos_token_id', [0]),
    bosTokenId: tokenId('bos_token_id'),
    decoderStartTokenId: tokenId('decoder_start_token_id', 58100),
  },
  { unserved: { share_encoder_decoder_embeddings: [true] } },
)

/** Words and positions of one side: drop(norm(E[ids] · scale + positions)), without the norm in Marian. */
class BartEmbeddings extends Module {
  readonly embedTokens: Embedding
  readonly embedPositions: Embedding | undefined
  readonly sinusoidal: SinusoidalPositions
  readonly layernormEmbedding: LayerNorm | undefined
  readonly dropout: Dropout

  constructor(
    readonly config: BartConfig,
    weight: Parameter,
  ) {
    super()
    const { vocabSize, hiddenSize, maxPositionEmbeddings, padTokenId: paddingIdx } = config
    this.embedTokens = this.child('embed_tokens', new Embedding(vocabSize, hiddenSize, { weight, paddingIdx }))
    this.sinusoidal = new SinusoidalPositions(hiddenSize, 'halves')
    if (kinds[config.modelType]!.hasLearnedPositions) {
      const table = new Embedding(maxPositionEmbeddings + POSITION_SHIFT, hiddenSize)
      this.embedPositions = this.child('embed_positions', table)
      this.layernormEmbedding = this.child('layernorm_embedding', new LayerNorm(hiddenSize))
    }
    this.dropout = this.child('dropout', new Dropout(config.hiddenDropout))
  }

  /** -> [batch, seqLen, hiddenSize] */
  forward(where: string, step: Pick<DecoderStep, 'ids' | 'offset' | 'positionIds'>): tf.Tensor {
    const words = this.embedTokens.forward(step.ids)
    const scaled = this.config.scaleEmbedding ? tf.mul(words, Math.sqrt(this.config.hiddenSize)) : words
    const positions = this.embedPositions
      ? learnedPositions(where, this.embedPositions, step, POSITION_SHIFT)
      : this.sinusoidal.range(step.offset, step.ids.shape[1])
    const sum = tf.add(scaled, positions)
    return this.dropout.forward(this.layernormEmbedding?.forward(sum) ?? sum)
  }
}

function bartInitializer({ initializerRange }: BartConfig): (key: string) => Initializer {
  return key => (/bias$/.test(key) ? zeros : /norm\w*\.weight$/.test(key) ? ones : normal(initializerRange))
}

/** BART or Marian with the head that writes. */
export class BartForConditionalGeneration extends Seq2SeqLm {
  readonly architecture: string
  readonly baseModelPrefix = 'model'
  readonly shared: Embedding
  readonly encoderEmbeddings: BartEmbeddings
  readonly encoderLayers: TransformerEncoderLayer[]
  readonly decoderEmbeddings: BartEmbeddings
  readonly decoderLayers: TransformerDecoderLayer[]
  readonly lmHead: Linear
  /** Not trained: Marian's has what keeps the padding token from being written. */
  readonly finalLogitsBias: Parameter // [1, vocabSize]

  constructor(
    readonly config: BartConfig,
    { seed = 0 }: { seed?: number } = {},
  ) {
    super()
    const { vocabSize, hiddenSize, encoderLayers, decoderLayers, tieWordEmbeddings } = config
    const layer = {
      ...config,
      activation: config.hiddenAct,
      dropout: config.hiddenDropout,
      layerNormEps: 1e-5,
      isPreNorm: false,
    }
    const encoder = {
      ...layer,
      intermediateSize: config.encoderIntermediateSize,
      numAttentionHeads: config.encoderAttentionHeads,
    }
    const decoder = {
      ...layer,
      intermediateSize: config.decoderIntermediateSize,
      numAttentionHeads: config.decoderAttentionHeads,
    }
    const stack = <L extends Module>(count: number, make: () => L): L[] =>
      skipInitialization(() => Array.from({ length: count }, make))
    this.architecture = kinds[config.modelType]!.architecture
    this.finalLogitsBias = this.parameter('final_logits_bias', tf.zeros([1, vocabSize]), { isTrainable: false })
    this.shared = this.child(
      'model.shared',
      skipInitialization(() => new Embedding(vocabSize, hiddenSize)),
    )
    const embeddings = (): BartEmbeddings => skipInitialization(() => new BartEmbeddings(config, this.shared.weight))
    this.encoderEmbeddings = this.child('model.encoder', embeddings())
    this.encoderLayers = this.childList(
      'model.encoder.layers',
      stack(encoderLayers, () => new TransformerEncoderLayer(encoder)),
    )
    this.decoderEmbeddings = this.child('model.decoder', embeddings())
    this.decoderLayers = this.childList(
      'model.decoder.layers',
      stack(decoderLayers, () => new TransformerDecoderLayer(decoder)),
    )
    const tied = tieWordEmbeddings && { weight: this.shared.weight }
    this.lmHead = this.child('lm_head', new Linear(hiddenSize, vocabSize, { bias: false, ...tied }))
    initializeParameters(this, seed, bartInitializer(config))
  }

  /** Old files of Marian hold the table of positions, which is computed. */
  override isIgnoredKey(key: string): boolean {
    return !this.encoderEmbeddings.embedPositions && key.endsWith('.embed_positions.weight')
  }

  configToHf(): HfConfig {
    return (this.config.modelType === 'marian' ? marianConfig : bartConfig).toHf(this.config)
  }

  createCache(capacity?: number, options?: CacheOptions): Seq2SeqCache {
    return new Seq2SeqCache(this.config.decoderLayers, capacity, options)
  }

  encode(inputs: EncoderInputs): BaseModelOutput {
    return tf.tidy(() => {
      const { ids, attention } = encoderStep(this.architecture, inputs, this.config.vocabSize)
      const step = { ids: idTensor(ids), offset: 0, positionIds: undefined }
      const x = this.encoderEmbeddings.forward(this.architecture, step) // [batch, sourceLen, hiddenSize]
      const run = (layer: TransformerEncoderLayer, y: tf.Tensor): tf.Tensor => layer.forward(y, attention)
      const states = runLayers(x, this.encoderLayers, run, inputs.outputHiddenStates)
      return stackOutput(states.last, states, attention.weights)
    })
  }

  decode(pass: DecoderPass): DecoderPassOutput {
    return tf.tidy(() => {
      const { memory, cache } = pass
      const inputs = { ...pass, cache: cache?.self }
      const { attention, ...tokens } = decoderStep(this.architecture, inputs, this.config.vocabSize)
      const cross = crossStep(this.architecture, pass)
      const x = this.decoderEmbeddings.forward(this.architecture, tokens) // [batch, targetLen, hiddenSize]
      const step = { self: attention, cross, memory, cache }
      const run = (layer: TransformerDecoderLayer, y: tf.Tensor, i: number): tf.Tensor => layer.forward(y, step, i)
      const states = runLayers(x, this.decoderLayers, run, pass.outputHiddenStates)
      const { lastHiddenState, ...inner } = stackOutput(states.last, states, attention.weights)
      const scores = this.lmHead.forward(lastPositions(lastHiddenState, pass.logitsToKeep)) // [batch, targetLen, vocabSize]
      return {
        logits: tf.add(scores, this.finalLogitsBias),
        ...inner,
        ...(cross.weights && { crossAttentions: cross.weights.take() }),
      }
    })
  }
}

/** BART and Marian, for `registerArchitecture`. */
export const bartArchitectures: Architecture[] = [
  {
    architecture: 'BartForConditionalGeneration',
    modelType: 'bart',
    task: 'seq2seq-lm',
    load: (config, source) => new BartForConditionalGeneration(bartConfig.fromHf(config, source)),
  },
  {
    architecture: 'MarianMTModel',
    modelType: 'marian',
    task: 'seq2seq-lm',
    load: (config, source) => new BartForConditionalGeneration(marianConfig.fromHf(config, source)),
  },
]
