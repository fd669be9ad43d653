/**
 * GPT-2, a decoder-only transformer: learned positions, pre-normalisation with LayerNorm, GELU.
 * Radford et al. 2019 ("Language Models are Unsupervised Multitask Learners"), section 2.3.
 * Same numbers, keys and files as HF `transformers/models/gpt2`. It has no token types and no cross-attention.
 */
import {
  type AttentionStep,
  activate,
  attend,
  Conv1D,
  Dropout,
  Embedding,
  type Initializer,
  initializeParameters,
  KvCache,
  type LayerCache,
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
import { type Activation, tf } from '@heed/tensor-backend'
import { type ClassifierOutput, rowsAt, type SequenceLabels, sequenceLoss } from './classification.ts'
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
import { decoderStep, lastPositions, learnedPositions, nextTokenLoss } from './decoder-inputs.ts'
import { type BaseConfig, type ConfigTable, defineConfig, type HfConfig } from './hf-config.ts'
import { flattenIds, idRows } from './inputs.ts'
import {
  type BaseModelOutput,
  CausalLm,
  type CausalLmInputs,
  type CausalLmOutput,
  type DecoderInputs,
  PretrainedModel,
} from './model.ts'
import type { Architecture } from './registry.ts'

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

  /** x: [batch, seqLen, hiddenSize] -> same shape. */
  forward(x: tf.Tensor, step: AttentionStep, cache?: LayerCache): tf.Tensor {
    const { numAttentionHeads } = this.config
    const parts = tf.split(this.cAttn.forward(x), 3, -1)
    const [q, k, v] = parts.map(part => splitHeads(part, numAttentionHeads)) as [tf.Tensor, tf.Tensor, tf.Tensor]
    const [keys, values] = cache ? cache.append(k, v) : [k, v] // [batch, keyLen, numHeads, headDim]
    const y = this.cProj.forward(
      mergeHeads(attend(q, keys, values, step, { scale: this.scale, ...this.attnDropout.option })),
    )
    return this.residDropout.forward(y)
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
    const h = activate(this.cFc.forward(x), this.config.hiddenAct) // [batch, seqLen, intermediateSize]
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

  /** x: [batch, seqLen, hiddenSize] -> same shape. */
  forward(x: tf.Tensor, step: AttentionStep, cache?: LayerCache): tf.Tensor {
    return tf.tidy(() => {
      const h = tf.add(x, this.attn.forward(this.ln1.forward(x), step, cache))
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
    return tf.tidy(() => {
      const { attention, ...step } = decoderStep(this.architecture, inputs, this.config.vocabSize)
      const positions = learnedPositions(this.architecture, this.wpe, step)
      const hiddenStates = [this.drop.forward(tf.add(this.wte.forward(step.ids), positions))]
      for (const [i, block] of this.h.entries()) {
        const x = hiddenStates.at(-1)! // [batch, seqLen, hiddenSize]
        hiddenStates.push(block.forward(x, attention, inputs.cache?.layers[i]))
        if (!inputs.outputHiddenStates) x.dispose()
      }
      const lastHiddenState = this.lnF.forward(hiddenStates.pop()!)
      return {
        lastHiddenState,
        ...(inputs.outputHiddenStates && { hiddenStates: [...hiddenStates, lastHiddenState] }),
        ...(attention.weights && { attentions: attention.weights.take() }),
      }
    })
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

  createCache(capacity?: number): KvCache {
    return new KvCache(this.config.numHiddenLayers, capacity === undefined ? {} : { capacity })
  }

  forward({ labels, logitsToKeep, ...inputs }: CausalLmInputs): CausalLmOutput {
    return tf.tidy(() => {
      const { lastHiddenState, ...states } = this.transformer.forward(inputs)
      const logits = this.lmHead.forward(lastPositions(lastHiddenState, logitsToKeep)) // [batch, seqLen, vocabSize]
      return { logits, ...nextTokenLoss(this.architecture, logits, labels), ...states }
    })
  }
}

export interface SequenceClassifierInputs extends Omit<DecoderInputs, 'cache'> {
  labels?: SequenceLabels | undefined
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
      const last = ids.map(row =>
        Math.max(
          0,
          row.findLastIndex(id => id !== this.config.padTokenId),
        ),
      )
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
