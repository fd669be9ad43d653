/**
 * The Transformer: an encoder reads a sequence, a decoder writes another, both by attention alone.
 * Vaswani et al. 2017 (arXiv:1706.03762). Post-normalisation as in the paper, pre-normalisation as an option.
 * Same numbers as `torch.nn.Transformer` between embeddings and output projection; torch-transformer.ts reads its weights.
 * BART and Marian (bart.ts) are made of the same layers.
 */
import {
  type AttentionStep,
  Dropout,
  Embedding,
  FeedForward,
  type Initializer,
  initializeParameters,
  type LayerCache,
  LayerNorm,
  Linear,
  Module,
  MultiHeadAttention,
  normal,
  ones,
  Recorder,
  SinusoidalPositions,
  skipInitialization,
  xavierUniform,
  zeros,
} from '@heed/layers'
import { type Activation, tf } from '@heed/tensor-backend'
import type { CacheOptions } from './cache-options.ts'
import { decoderStep, lastPositions } from './decoder-inputs.ts'
import { type EncoderInputs, encoderStep } from './encoder-inputs.ts'
import type { HfConfig } from './hf-json.ts'
import { idTensor } from './inputs.ts'
import { runLayers, stackOutput } from './layer-stack.ts'
import type { BaseModelOutput } from './model.ts'
import type { Architecture } from './registry.ts'
import { type DecoderPass, type DecoderPassOutput, memoryPadding, Seq2SeqCache, Seq2SeqLm } from './seq2seq.ts'
import { type TransformerConfig, transformerConfig } from './transformer-config.ts'

export interface TransformerLayerOptions {
  hiddenSize: number
  intermediateSize: number
  numAttentionHeads: number
  activation: Activation
  dropout: number
  attentionDropout: number
  activationDropout: number
  layerNormEps: number
  isPreNorm: boolean
}

/** norm(x + sublayer(x)), or with pre-normalisation x + sublayer(norm(x)). Section 3.1. */
class Residual extends Module {
  readonly norm: LayerNorm
  readonly dropout: Dropout
  readonly isPreNorm: boolean

  constructor({ hiddenSize, layerNormEps: eps, dropout, isPreNorm }: TransformerLayerOptions) {
    super()
    this.isPreNorm = isPreNorm
    this.norm = this.child('', new LayerNorm(hiddenSize, { eps }))
    this.dropout = this.child('dropout', new Dropout(dropout))
  }

  forward(x: tf.Tensor, sublayer: (x: tf.Tensor) => tf.Tensor): tf.Tensor {
    if (this.isPreNorm) return tf.add(x, this.dropout.forward(sublayer(this.norm.forward(x))))
    return this.norm.forward(tf.add(x, this.dropout.forward(sublayer(x))))
  }
}

function attentionOf({ hiddenSize, numAttentionHeads, attentionDropout }: TransformerLayerOptions): MultiHeadAttention {
  return new MultiHeadAttention({ hiddenSize, numAttentionHeads, dropout: attentionDropout })
}

function feedForwardOf({ hiddenSize, intermediateSize, ...options }: TransformerLayerOptions): FeedForward {
  const { activation, activationDropout: dropout } = options
  return new FeedForward(hiddenSize, intermediateSize, { activation, dropout })
}

/** Self-attention, then a feed-forward network. */
export class TransformerEncoderLayer extends Module {
  readonly selfAttn: MultiHeadAttention
  readonly selfAttnResidual: Residual
  readonly feedForward: FeedForward
  readonly finalResidual: Residual

  constructor(options: TransformerLayerOptions) {
    super()
    this.selfAttn = this.child('self_attn', attentionOf(options))
    this.selfAttnResidual = this.child('self_attn_layer_norm', new Residual(options))
    this.feedForward = this.child('', feedForwardOf(options))
    this.finalResidual = this.child('final_layer_norm', new Residual(options))
  }

  /** x: [batch, sourceLen, hiddenSize] -> same shape. */
  forward(x: tf.Tensor, step: AttentionStep): tf.Tensor {
    return tf.tidy(() => {
      const h = this.selfAttnResidual.forward(x, y => this.selfAttn.forward(y, step))
      return this.finalResidual.forward(h, y => this.feedForward.forward(y))
    })
  }
}

/** What all layers of one pass of a decoder share. */
export interface TransformerDecoderStep {
  self: AttentionStep
  cross: AttentionStep
  memory: tf.Tensor // [batch, sourceLen, hiddenSize]
  cache: Seq2SeqCache | undefined
}

/** Masked self-attention, then attention over the encoder's output, then a feed-forward network. */
export class TransformerDecoderLayer extends Module {
  readonly selfAttn: MultiHeadAttention
  readonly selfAttnResidual: Residual
  readonly encoderAttn: MultiHeadAttention
  readonly encoderAttnResidual: Residual
  readonly feedForward: FeedForward
  readonly finalResidual: Residual

  constructor(options: TransformerLayerOptions) {
    super()
    this.selfAttn = this.child('self_attn', attentionOf(options))
    this.selfAttnResidual = this.child('self_attn_layer_norm', new Residual(options))
    this.encoderAttn = this.child('encoder_attn', attentionOf(options))
    this.encoderAttnResidual = this.child('encoder_attn_layer_norm', new Residual(options))
    this.feedForward = this.child('', feedForwardOf(options))
    this.finalResidual = this.child('final_layer_norm', new Residual(options))
  }

  /** x: [batch, targetLen, hiddenSize] -> same shape. */
  forward(x: tf.Tensor, { self, cross, memory, cache }: TransformerDecoderStep, layer: number): tf.Tensor {
    const cacheOf = (layers: readonly LayerCache[] | undefined): { cache?: LayerCache } =>
      layers ? { cache: layers[layer]! } : {}
    const selfStep = { ...self, ...cacheOf(cache?.self.layers) }
    const crossStep = { ...cross, memory, ...cacheOf(cache?.cross.layers) }
    return tf.tidy(() => {
      const h = this.selfAttnResidual.forward(x, y => this.selfAttn.forward(y, selfStep))
      const g = this.encoderAttnResidual.forward(h, y => this.encoderAttn.forward(y, crossStep))
      return this.finalResidual.forward(g, y => this.feedForward.forward(y))
    })
  }
}

/** Where training begins: matrices by Glorot's rule, embeddings normal with std hiddenSize^-½, as in tensor2tensor. */
function transformerInitializer({ hiddenSize }: TransformerConfig): (key: string) => Initializer {
  return key => {
    if (key.endsWith('.bias')) return zeros
    if (key.includes('norm')) return ones
    return /embed|shared|lm_head/.test(key) ? normal(hiddenSize ** -0.5) : xavierUniform()
  }
}

/** Encoder, decoder, and the projection to the vocabulary. */
export class Transformer extends Seq2SeqLm {
  readonly architecture = 'Transformer'
  readonly baseModelPrefix = ''
  readonly source: Embedding
  readonly target: Embedding
  readonly encoderLayers: TransformerEncoderLayer[]
  readonly decoderLayers: TransformerDecoderLayer[]
  readonly encoderNorm: LayerNorm | undefined
  readonly decoderNorm: LayerNorm | undefined
  readonly lmHead: Linear
  readonly dropout: Dropout
  readonly positions: SinusoidalPositions

  constructor(
    readonly config: TransformerConfig,
    { seed = 0 }: { seed?: number } = {},
  ) {
    super()
    const { vocabSize, hiddenSize, layerNormEps: eps, hasFinalNorm } = config
    const options = { ...config, activation: config.hiddenAct, dropout: config.hiddenDropout }
    const table = (): Embedding => skipInitialization(() => new Embedding(vocabSize, hiddenSize))
    const stack = <L extends Module>(count: number, make: () => L): L[] =>
      skipInitialization(() => Array.from({ length: count }, make))
    this.source = this.child(config.shareEmbeddings ? 'shared' : 'encoder.embed_tokens', table())
    this.target = config.shareEmbeddings ? this.source : this.child('decoder.embed_tokens', table())
    this.encoderLayers = this.childList(
      'encoder.layers',
      stack(config.encoderLayers, () => new TransformerEncoderLayer(options)),
    )
    if (hasFinalNorm) this.encoderNorm = this.child('encoder.norm', new LayerNorm(hiddenSize, { eps }))
    this.decoderLayers = this.childList(
      'decoder.layers',
      stack(config.decoderLayers, () => new TransformerDecoderLayer(options)),
    )
    if (hasFinalNorm) this.decoderNorm = this.child('decoder.norm', new LayerNorm(hiddenSize, { eps }))
    const tied = config.tieWordEmbeddings && { weight: this.target.weight }
    this.lmHead = this.child('lm_head', new Linear(hiddenSize, vocabSize, { bias: false, ...tied }))
    this.dropout = this.child('dropout', new Dropout(config.hiddenDropout))
    this.positions = new SinusoidalPositions(hiddenSize)
    initializeParameters(this, seed, transformerInitializer(config))
  }

  configToHf(): HfConfig {
    return transformerConfig.toHf(this.config)
  }

  createCache(capacity?: number, options?: CacheOptions): Seq2SeqCache {
    return new Seq2SeqCache(this.config.decoderLayers, capacity, options)
  }

  protected override get labelSmoothing(): number {
    return this.config.labelSmoothing
  }

  /** E[ids] · sqrt(hiddenSize) + positions. Sections 3.4 and 3.5. */
  #embed(table: Embedding, ids: tf.Tensor2D, offset: number): tf.Tensor {
    const scaled = tf.mul(table.forward(ids), Math.sqrt(this.config.hiddenSize))
    return this.dropout.forward(tf.add(scaled, this.positions.range(offset, ids.shape[1])))
  }

  encode(inputs: EncoderInputs): BaseModelOutput {
    return tf.tidy(() => {
      const { ids, attention } = encoderStep(this.architecture, inputs, this.config.vocabSize)
      const x = this.#embed(this.source, idTensor(ids), 0) // [batch, sourceLen, hiddenSize]
      const run = (layer: TransformerEncoderLayer, y: tf.Tensor): tf.Tensor => layer.forward(y, attention)
      const states = runLayers(x, this.encoderLayers, run, inputs.outputHiddenStates)
      return stackOutput(this.encoderNorm?.forward(states.last) ?? states.last, states, attention.weights)
    })
  }

  decode(pass: DecoderPass): DecoderPassOutput {
    return tf.tidy(() => {
      const { memory, cache } = pass
      const { ids, offset, attention } = decoderStep(
        this.architecture,
        { ...pass, cache: cache?.self },
        this.config.vocabSize,
      )
      const cross = crossStep(this.architecture, pass)
      const x = this.#embed(this.target, ids, offset) // [batch, targetLen, hiddenSize]
      const step = { self: attention, cross, memory, cache }
      const run = (layer: TransformerDecoderLayer, y: tf.Tensor, i: number): tf.Tensor => layer.forward(y, step, i)
      const states = runLayers(x, this.decoderLayers, run, pass.outputHiddenStates)
      const normed = this.decoderNorm?.forward(states.last) ?? states.last
      const { lastHiddenState, ...inner } = stackOutput(normed, states, attention.weights)
      return {
        logits: this.lmHead.forward(lastPositions(lastHiddenState, pass.logitsToKeep)), // [batch, targetLen, vocabSize]
        ...inner,
        ...(cross.weights && { crossAttentions: cross.weights.take() }),
      }
    })
  }
}

/** What attention over the encoder's output needs. */
export function crossStep(where: string, pass: DecoderPass): AttentionStep {
  return { ...memoryPadding(where, pass), ...(pass.outputAttentions && { weights: new Recorder() }) }
}

/** For `registerArchitecture`. */
export const transformerArchitectures: Architecture[] = [
  {
    architecture: 'Transformer',
    modelType: 'transformer',
    task: 'seq2seq-lm',
    load: (config, source) => new Transformer(transformerConfig.fromHf(config, source)),
  },
]
