/**
 * GPT-2, a decoder-only transformer: learned positions, pre-normalisation with LayerNorm, GELU.
 * Radford et al. 2019 ("Language Models are Unsupervised Multitask Learners"), section 2.3.
 * Same numbers, keys and files as HF `transformers/models/gpt2`. It has no token types and no cross-attention.
 */
import {
  type AttentionCache,
  type AttentionStep,
  attend,
  Conv1D,
  Dropout,
  Embedding,
  type Initializer,
  initializeParameters,
  KvCache,
  LayerNorm,
  Linear,
  Module,
  mergeHeads,
  normal,
  ones,
  skipInitialization,
  splitHeads,
  zeros,
} from '@heed/layers'
import { tf } from '@heed/tensor-backend'
import { type CacheOptions, kvCacheOptions } from './cache-options.ts'
import {
  type ClassifierOutput,
  lastTokens,
  rowsAt,
  type SequenceClassifierInputs,
  sequenceLoss,
} from './classification.ts'
import { decoderStep, isNextToken, lastPositions, learnedPositions } from './decoder-inputs.ts'
import { type Gpt2Config, gpt2Config } from './gpt2-config.ts'
import type { HfConfig } from './hf-json.ts'
import { flattenIds, idRows } from './inputs.ts'
import { runLayers, stackOutput } from './layer-stack.ts'
import {
  type BaseModelOutput,
  CausalLm,
  type CausalLmInputs,
  type CausalLmOutput,
  type DecoderInputs,
  PretrainedModel,
} from './model.ts'
import { predictTokens } from './predict-tokens.ts'
import type { Architecture } from './registry.ts'

/** What a block of a forward pass is given besides x. */
interface Gpt2Step extends AttentionStep {
  /** Positions at the end whose output is wanted; all by default. Keys and values are formed of all. */
  positionsToKeep?: number | undefined
}

/** softmax(q kᵀ / sqrt(headDim)) v, q, k and v from one projection. */
export class Gpt2Attention extends Module {
  readonly cAttn: Conv1D
  readonly cProj: Conv1D
  readonly attnDropout: Dropout
  readonly residDropout: Dropout
  readonly scale: number

  constructor(
    readonly config: Gpt2Config,
    layerIdx: number,
  ) {
    super()
    const { hiddenSize, numAttentionHeads, attentionDropout, hiddenDropout } = config
    const divisor = config.scaleAttnByInverseLayerIdx ? layerIdx + 1 : 1
    this.scale = (config.scaleAttnWeights ? 1 / Math.sqrt(hiddenSize / numAttentionHeads) : 1) / divisor
    this.cAttn = this.child('c_attn', new Conv1D(hiddenSize, 3 * hiddenSize))
    this.cProj = this.child('c_proj', new Conv1D(hiddenSize, hiddenSize))
    this.attnDropout = this.child('attn_dropout', new Dropout(attentionDropout))
    this.residDropout = this.child('resid_dropout', new Dropout(hiddenDropout))
  }

  /** x: [batch, seqLen, hiddenSize] -> same shape, or the positions to keep. */
  forward(x: tf.Tensor, { positionsToKeep, ...step }: Gpt2Step, cache?: AttentionCache): tf.Tensor {
    const { numAttentionHeads } = this.config
    const parts = tf.split(this.cAttn.forward(x), 3, -1)
    const [q, k, v] = parts.map(part => splitHeads(part, numAttentionHeads)) as [tf.Tensor, tf.Tensor, tf.Tensor]
    const options = { scale: this.scale, ...this.attnDropout.option }
    const y = cache ? cache.attend(q, k, v, step, options) : attend(q, k, v, step, options) // [batch, seqLen, numHeads, headDim]
    return this.residDropout.forward(this.cProj.forward(lastPositions(mergeHeads(y), positionsToKeep)))
  }
}

/** y = W₂ · act(W₁ · x). */
export class Gpt2Mlp extends Module {
  readonly cFc: Conv1D
  readonly cProj: Conv1D
  readonly dropout: Dropout

  constructor(readonly config: Gpt2Config) {
    super()
    const { hiddenSize, intermediateSize, hiddenDropout } = config
    const innerSize = intermediateSize ?? 4 * hiddenSize
    this.cFc = this.child('c_fc', new Conv1D(hiddenSize, innerSize))
    this.cProj = this.child('c_proj', new Conv1D(innerSize, hiddenSize))
    this.dropout = this.child('dropout', new Dropout(hiddenDropout))
  }

  /** x: [batch, seqLen, hiddenSize] -> same shape. */
  forward(x: tf.Tensor): tf.Tensor {
    const h = this.cFc.forward(x, this.config.hiddenAct) // [batch, seqLen, intermediateSize]
    return this.dropout.forward(this.cProj.forward(h))
  }
}

/** One pre-norm layer: h = x + attention(norm(x)); y = h + mlp(norm(h)). */
export class Gpt2Block extends Module {
  readonly ln1: LayerNorm
  readonly attn: Gpt2Attention
  readonly ln2: LayerNorm
  readonly mlp: Gpt2Mlp

  constructor(config: Gpt2Config, layerIdx: number) {
    super()
    const { hiddenSize, layerNormEps: eps } = config
    this.ln1 = this.child('ln_1', new LayerNorm(hiddenSize, { eps }))
    this.attn = this.child('attn', new Gpt2Attention(config, layerIdx))
    this.ln2 = this.child('ln_2', new LayerNorm(hiddenSize, { eps }))
    this.mlp = this.child('mlp', new Gpt2Mlp(config))
  }

  /** x: [batch, seqLen, hiddenSize] -> same shape, or the positions to keep. */
  forward(x: tf.Tensor, step: Gpt2Step, cache?: AttentionCache): tf.Tensor {
    return tf.tidy(() => {
      const h = tf.add(lastPositions(x, step.positionsToKeep), this.attn.forward(this.ln1.forward(x), step, cache))
      return tf.add(h, this.mlp.forward(this.ln2.forward(h)))
    })
  }
}

/** As in the paper: projections into the residual stream begin smaller, by 1 / sqrt(their number). */
function gpt2Initializer({ initializerRange, numHiddenLayers }: Gpt2Config): (key: string) => Initializer {
  return key => {
    if (key.endsWith('.bias')) return zeros
    if (/ln_[12f]\.weight$/.test(key)) return ones
    return normal(key.endsWith('c_proj.weight') ? initializerRange / Math.sqrt(2 * numHiddenLayers) : initializerRange)
  }
}

export interface Gpt2Options {
  /** Seed of the first values of the parameters. */
  seed?: number
}

/** What a forward pass is given besides the weights. */
interface Gpt2Pass {
  ids: tf.Tensor2D // int32 [batch, seqLen]
  positions: tf.Tensor // [1 | batch, seqLen, hiddenSize]
  attention: AttentionStep
}

/** The decoder without a head: embeddings, blocks, a last norm. */
export class Gpt2Model extends PretrainedModel {
  readonly architecture = 'GPT2Model'
  readonly baseModelPrefix = 'transformer'
  readonly wte: Embedding
  readonly wpe: Embedding
  readonly drop: Dropout
  readonly h: Gpt2Block[]
  readonly lnF: LayerNorm

  constructor(
    readonly config: Gpt2Config,
    { seed = 0 }: Gpt2Options = {},
  ) {
    super()
    const { vocabSize, maxPositionEmbeddings, hiddenSize, numHiddenLayers, layerNormEps: eps } = config
    const blocks = (): Gpt2Block[] => Array.from({ length: numHiddenLayers }, (_, i) => new Gpt2Block(config, i))
    this.wte = this.child(
      'wte',
      skipInitialization(() => new Embedding(vocabSize, hiddenSize)),
    )
    this.wpe = this.child(
      'wpe',
      skipInitialization(() => new Embedding(maxPositionEmbeddings, hiddenSize)),
    )
    this.drop = this.child('drop', new Dropout(config.embeddingDropout))
    this.h = this.childList('h', skipInitialization(blocks))
    this.lnF = this.child('ln_f', new LayerNorm(hiddenSize, { eps }))
    initializeParameters(this, seed, gpt2Initializer(config))
  }

  configToHf(): HfConfig {
    return gpt2Config.toHf(this.config)
  }

  /** The caller disposes of the output. Throws HEED_ID_OUT_OF_RANGE, HEED_SHAPE_MISMATCH. */
  forward(inputs: DecoderInputs): BaseModelOutput {
    return tf.tidy(() => this.run(this.prepare(inputs), inputs))
  }

  /** What depends on the inputs and their positions. Throws HEED_ID_OUT_OF_RANGE, HEED_SHAPE_MISMATCH. */
  prepare(inputs: DecoderInputs): Gpt2Pass {
    const { attention, ...step } = decoderStep(this.architecture, inputs, this.config.vocabSize)
    return { ids: step.ids, positions: learnedPositions(this.architecture, this.wpe, step), attention }
  }

  /** Of the last hidden state, the last `positionsToKeep` positions (all by default, and with `outputHiddenStates`). */
  run(
    { ids, positions, attention }: Gpt2Pass,
    { cache, outputHiddenStates }: DecoderInputs,
    positionsToKeep?: number,
  ): BaseModelOutput {
    const x = this.drop.forward(tf.add(this.wte.forward(ids), positions)) // [batch, seqLen, hiddenSize]
    const block = (of: Gpt2Block, y: tf.Tensor, i: number): tf.Tensor => {
      const isPartial = i === this.h.length - 1 && !outputHiddenStates
      return of.forward(y, isPartial ? { ...attention, positionsToKeep } : attention, cache?.layers[i])
    }
    const states = runLayers(x, this.h, block, outputHiddenStates)
    return stackOutput(this.lnF.forward(states.last), states, attention.weights)
  }
}

/** GPT-2 with a head that scores the next token. */
export class Gpt2LMHeadModel extends CausalLm {
  readonly architecture = 'GPT2LMHeadModel'
  readonly baseModelPrefix = 'transformer'
  readonly transformer: Gpt2Model
  readonly lmHead: Linear

  constructor(
    readonly config: Gpt2Config,
    { seed = 0 }: Gpt2Options = {},
  ) {
    super()
    const { vocabSize, hiddenSize, tieWordEmbeddings } = config
    this.transformer = this.child(
      'transformer',
      skipInitialization(() => new Gpt2Model(config)),
    )
    const tied = tieWordEmbeddings && { weight: this.transformer.wte.weight }
    this.lmHead = this.child(
      'lm_head',
      skipInitialization(() => new Linear(hiddenSize, vocabSize, { bias: false, ...tied })),
    )
    initializeParameters(this, seed, gpt2Initializer(config))
  }

  configToHf(): HfConfig {
    return gpt2Config.toHf(this.config)
  }

  createCache(capacity?: number, options?: CacheOptions): KvCache {
    return new KvCache(this.config.numHiddenLayers, kvCacheOptions(capacity, options))
  }

  forward({ labels, sparsePrediction, logitsToKeep, ...inputs }: CausalLmInputs): CausalLmOutput {
    return tf.tidy(() => {
      const pass = this.transformer.prepare(inputs)
      const { cache } = inputs
      if (cache instanceof KvCache && !this.isTraining && !labels && isNextToken(pass, inputs)) {
        const { ids, positions, attention } = pass
        const mask = attention.keyPaddingMask ? [attention.keyPaddingMask] : []
        const next = (): tf.Tensor => this.lmHead.forward(this.transformer.run(pass, inputs).lastHiddenState)
        return { logits: cache.step(this, [ids, positions, ...mask], next) }
      }
      const { lastHiddenState, ...states } = this.transformer.run(pass, inputs, logitsToKeep)
      const x = lastPositions(lastHiddenState, logitsToKeep)
      const wanted = { labels, sparsePrediction, vocabSize: this.config.vocabSize, predictsNext: true }
      return { ...predictTokens(this.architecture, x, x => this.lmHead.forward(x), wanted), ...states }
    })
  }
}

/** GPT-2 with a head that classifies a text by its last token that is not padding. */
export class Gpt2ForSequenceClassification extends PretrainedModel {
  readonly architecture = 'GPT2ForSequenceClassification'
  readonly baseModelPrefix = 'transformer'
  readonly transformer: Gpt2Model
  readonly score: Linear

  constructor(
    readonly config: Gpt2Config,
    { seed = 0 }: Gpt2Options = {},
  ) {
    super()
    this.transformer = this.child(
      'transformer',
      skipInitialization(() => new Gpt2Model(config)),
    )
    this.score = this.child('score', new Linear(config.hiddenSize, config.labels.length, { bias: false }))
    initializeParameters(this, seed, gpt2Initializer(config))
  }

  configToHf(): HfConfig {
    return gpt2Config.toHf(this.config)
  }

  /** The caller disposes of the output. Throws HEED_ID_OUT_OF_RANGE, HEED_SHAPE_MISMATCH. */
  forward({ labels, ...inputs }: SequenceClassifierInputs): ClassifierOutput {
    return tf.tidy(() => {
      const { lastHiddenState, ...states } = this.transformer.forward(inputs)
      const ids = idRows(flattenIds(this.architecture, 'inputIds', inputs.inputIds))
      const last = lastTokens(ids, this.config.padTokenId)
      const logits = this.score.forward(rowsAt(lastHiddenState, last)) // [batch, numLabels]
      return { logits, ...sequenceLoss(this.architecture, logits, labels, this.config.problemType), ...states }
    })
  }
}

/** For `registerArchitecture`. */
export const gpt2Architectures: Architecture[] = [
  {
    architecture: 'GPT2Model',
    modelType: 'gpt2',
    task: 'base',
    load: (config, source) => new Gpt2Model(gpt2Config.fromHf(config, source)),
  },
  {
    architecture: 'GPT2LMHeadModel',
    modelType: 'gpt2',
    task: 'causal-lm',
    load: (config, source) => new Gpt2LMHeadModel(gpt2Config.fromHf(config, source)),
  },
  {
    architecture: 'GPT2ForSequenceClassification',
    modelType: 'gpt2',
    task: 'sequence-classification',
    load: (config, source) => new Gpt2ForSequenceClassification(gpt2Config.fromHf(config, source)),
  },
]
