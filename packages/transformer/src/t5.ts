/**
 * T5, an encoder-decoder: pre-normalisation with RMSNorm, no absolute positions but a learned bias for each distance, no biases
 * in its projections. Raffel et al. 2019 (arXiv:1910.10683), section 2.1; version 1.1 and FLAN-T5 have a gated feed-forward
 * (Shazeer 2020, arXiv:2002.05202). Same numbers and files as HF `transformers/models/t5`, for conditional generation.
 */
import {
  type AttentionStep,
  Dropout,
  Embedding,
  type Initializer,
  initializeParameters,
  type LayerCache,
  Linear,
  Module,
  MultiHeadAttention,
  normal,
  ones,
  RelativePositionBias,
  RMSNorm,
  skipInitialization,
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
import { type DecoderPass, type DecoderPassOutput, Seq2SeqCache, Seq2SeqLm } from './seq2seq.ts'
import { type T5Config, type T5FeedForwardKind, t5Config } from './t5-config.ts'
import { crossStep } from './transformer.ts'

const activationOf: Readonly<Record<T5FeedForwardKind, Activation>> = {
  relu: 'relu',
  gelu: 'gelu',
  gatedGelu: 'geluTanh',
  gatedSilu: 'silu',
}

/** y = wo · drop(act(wi · x)), or with a gate y = wo · drop(act(wi_0 · x) · (wi_1 · x)). */
class T5FeedForward extends Module {
  readonly input: Linear
  readonly gate: Linear | undefined
  readonly output: Linear
  readonly dropout: Dropout
  readonly activation: Activation

  constructor({ hiddenSize, intermediateSize, feedForward, hiddenDropout }: T5Config) {
    super()
    const isGated = feedForward.startsWith('gated')
    const inner = (): Linear => new Linear(hiddenSize, intermediateSize, { bias: false })
    this.activation = activationOf[feedForward]
    this.input = this.child(isGated ? 'wi_0' : 'wi', inner())
    if (isGated) this.gate = this.child('wi_1', inner())
    this.output = this.child('wo', new Linear(intermediateSize, hiddenSize, { bias: false }))
    this.dropout = this.child('dropout', new Dropout(hiddenDropout))
  }

  /** x: [batch, seqLen, hiddenSize] -> same shape. */
  forward(x: tf.Tensor): tf.Tensor {
    const h = this.input.forward(x, this.activation) // [batch, seqLen, intermediateSize]
    return this.output.forward(this.dropout.forward(this.gate ? tf.mul(h, this.gate.forward(x)) : h))
  }
}

/** x + drop(sublayer(norm(x))): one `layer.N` of a block. */
class T5Sublayer<Inner extends Module> extends Module {
  readonly inner: Inner
  readonly norm: RMSNorm
  readonly dropout: Dropout

  constructor({ hiddenSize, rmsNormEps, hiddenDropout }: T5Config, key: string, inner: Inner) {
    super()
    this.inner = this.child(key, inner)
    this.norm = this.child('layer_norm', new RMSNorm(hiddenSize, rmsNormEps))
    this.dropout = this.child('dropout', new Dropout(hiddenDropout))
  }

  forward(x: tf.Tensor, run: (inner: Inner, x: tf.Tensor) => tf.Tensor): tf.Tensor {
    return tf.add(x, this.dropout.forward(run(this.inner, this.norm.forward(x))))
  }
}

function attentionOf({ hiddenSize, numAttentionHeads, headDim, hiddenDropout }: T5Config): MultiHeadAttention {
  return new MultiHeadAttention({
    hiddenSize,
    numAttentionHeads,
    headDim,
    bias: false,
    dropout: hiddenDropout,
    scale: 1, // the initial values make up for it
    keys: ['q', 'k', 'v', 'o'],
  })
}

/** What all blocks of one pass of a stack share. */
interface T5Step {
  self: AttentionStep
  /** In a decoder. */
  cross?: AttentionStep & { memory: tf.Tensor }
  cache?: Seq2SeqCache | undefined
}

/** Self-attention, in a decoder attention over the encoder's output, and a feed-forward network. */
class T5Block extends Module {
  readonly selfAttention: T5Sublayer<MultiHeadAttention>
  readonly crossAttention: T5Sublayer<MultiHeadAttention> | undefined
  readonly feedForward: T5Sublayer<T5FeedForward>

  constructor(config: T5Config, isDecoder: boolean) {
    super()
    this.selfAttention = this.child('layer.0', new T5Sublayer(config, 'SelfAttention', attentionOf(config)))
    if (isDecoder) {
      this.crossAttention = this.child('layer.1', new T5Sublayer(config, 'EncDecAttention', attentionOf(config)))
    }
    const feedForward = new T5Sublayer(config, 'DenseReluDense', new T5FeedForward(config))
    this.feedForward = this.child(isDecoder ? 'layer.2' : 'layer.1', feedForward)
  }

  /** x: [batch, seqLen, hiddenSize] -> same shape. */
  forward(x: tf.Tensor, { self, cross, cache }: T5Step, block: number): tf.Tensor {
    const cacheOf = (layers: readonly LayerCache[] | undefined): { cache?: LayerCache } =>
      layers ? { cache: layers[block]! } : {}
    return tf.tidy(() => {
      const selfStep = { ...self, ...cacheOf(cache?.self.layers) }
      const h = this.selfAttention.forward(x, (attention, y) => attention.forward(y, selfStep))
      const crossAttentionStep = { ...cross, ...cacheOf(cache?.cross.layers) }
      const g = this.crossAttention?.forward(h, (attention, y) => attention.forward(y, crossAttentionStep)) ?? h
      return this.feedForward.forward(g, (feedForward, y) => feedForward.forward(y))
    })
  }
}

/** Blocks, their common bias of distances, a last norm: the encoder or the decoder. */
class T5Stack extends Module {
  readonly blocks: T5Block[]
  readonly relativeBias: RelativePositionBias
  readonly finalNorm: RMSNorm
  readonly dropout: Dropout

  constructor(config: T5Config, numBlocks: number, isDecoder: boolean) {
    super()
    const { numAttentionHeads, relativeAttentionNumBuckets, relativeAttentionMaxDistance } = config
    const bias = new RelativePositionBias({
      numBuckets: relativeAttentionNumBuckets,
      maxDistance: relativeAttentionMaxDistance,
      numAttentionHeads,
      isBidirectional: !isDecoder,
    })
    const blocks = Array.from({ length: numBlocks }, () => new T5Block(config, isDecoder))
    this.blocks = this.childList('block', blocks)
    this.relativeBias = this.child('block.0.layer.0.SelfAttention.relative_attention_bias', bias)
    this.finalNorm = this.child('final_layer_norm', new RMSNorm(config.hiddenSize, config.rmsNormEps))
    this.dropout = this.child('dropout', new Dropout(config.hiddenDropout))
  }

  /** embeddings: [batch, seqLen, hiddenSize] -> the same shape; `offset` is the position of the first. */
  forward(embeddings: tf.Tensor, offset: number, step: T5Step, keepsStates = false): BaseModelOutput {
    const seqLen = embeddings.shape[1]!
    const self = { ...step.self, bias: this.relativeBias.forward(offset, seqLen, offset + seqLen) }
    const x = this.dropout.forward(embeddings)
    const run = (block: T5Block, y: tf.Tensor, i: number): tf.Tensor => block.forward(y, { ...step, self }, i)
    const states = runLayers(x, this.blocks, run, keepsStates)
    return stackOutput(this.dropout.forward(this.finalNorm.forward(states.last)), states, step.self.weights)
  }
}

/** Where training begins: each matrix by the width it reads, queries smaller since scores are not scaled. */
function t5Initializer(config: T5Config): (key: string) => Initializer {
  const { hiddenSize, headDim, intermediateSize, numAttentionHeads, initializerFactor: factor } = config
  const spread: readonly [RegExp, number][] = [
    [/^shared|^lm_head/, 1],
    [/\.q\.weight$/, (hiddenSize * headDim) ** -0.5],
    [/\.o\.weight$/, (numAttentionHeads * headDim) ** -0.5],
    [/\.wo\.weight$/, intermediateSize ** -0.5],
  ]
  return key => {
    if (key.endsWith('norm.weight')) return ones
    const found = spread.find(([pattern]) => pattern.test(key))
    return normal(factor * (found?.[1] ?? hiddenSize ** -0.5))
  }
}

/** T5 with the head that writes. */
export class T5ForConditionalGeneration extends Seq2SeqLm {
  readonly architecture = 'T5ForConditionalGeneration'
  readonly baseModelPrefix = 'transformer'
  readonly shared: Embedding
  readonly encoder: T5Stack
  readonly decoder: T5Stack
  readonly lmHead: Linear

  constructor(
    readonly config: T5Config,
    { seed = 0 }: { seed?: number } = {},
  ) {
    super()
    const { vocabSize, hiddenSize, numHiddenLayers, numDecoderLayers, tieWordEmbeddings: isTied } = config
    const stack = (count: number, isDecoder: boolean): T5Stack =>
      skipInitialization(() => new T5Stack(config, count, isDecoder))
    this.shared = this.child(
      'shared',
      skipInitialization(() => new Embedding(vocabSize, hiddenSize)),
    )
    this.encoder = this.child('encoder', stack(numHiddenLayers, false))
    this.decoder = this.child('decoder', stack(numDecoderLayers, true))
    const tied = isTied && { weight: this.shared.weight }
    this.lmHead = this.child('lm_head', new Linear(hiddenSize, vocabSize, { bias: false, ...tied }))
    initializeParameters(this, seed, t5Initializer(config))
  }

  /** The embeddings of both sides are the shared table; cross attention has no bias of distances. */
  override isIgnoredKey(key: string): boolean {
    return key.endsWith('.embed_tokens.weight') || key.endsWith('EncDecAttention.relative_attention_bias.weight')
  }

  configToHf(): HfConfig {
    return t5Config.toHf(this.config)
  }

  createCache(capacity?: number, options?: CacheOptions): Seq2SeqCache {
    return new Seq2SeqCache(this.config.numDecoderLayers, capacity, options)
  }

  encode(inputs: EncoderInputs): BaseModelOutput {
    return tf.tidy(() => {
      const { ids, attention } = encoderStep(this.architecture, inputs, this.config.vocabSize)
      const x = this.shared.forward(idTensor(ids)) // [batch, sourceLen, hiddenSize]
      return this.encoder.forward(x, 0, { self: attention }, inputs.outputHiddenStates)
    })
  }

  decode(pass: DecoderPass): DecoderPassOutput {
    return tf.tidy(() => {
      const { memory, cache } = pass
      const inputs = { ...pass, cache: cache?.self }
      const { ids, offset, attention } = decoderStep(this.architecture, inputs, this.config.vocabSize)
      const cross = { ...crossStep(this.architecture, pass), memory }
      const x = this.shared.forward(ids) // [batch, targetLen, hiddenSize]
      const step = { self: attention, cross, cache }
      const { lastHiddenState, ...states } = this.decoder.forward(x, offset, step, pass.outputHiddenStates)
      const kept = lastPositions(lastHiddenState, pass.logitsToKeep)
      const scaled = this.config.tieWordEmbeddings ? tf.mul(kept, this.config.hiddenSize ** -0.5) : kept
      return {
        logits: this.lmHead.forward(scaled), // [batch, targetLen, vocabSize]
        ...states,
        ...(cross.weights && { crossAttentions: cross.weights.take() }),
      }
    })
  }
}

/** For `registerArchitecture`. */
export const t5Architectures: Architecture[] = [
  {
    architecture: 'T5ForConditionalGeneration',
    modelType: 't5',
    task: 'seq2seq-lm',
    load: (config, source) => new T5ForConditionalGeneration(t5Config.fromHf(config, source)),
  },
]
