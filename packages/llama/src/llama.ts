/**
 * LLaMA, a decoder-only transformer: pre-normalisation with RMSNorm, rotary positions, grouped-query attention, SwiGLU.
 * Touvron et al. 2023 (arXiv:2302.13971), section 2.2, and its successors (arXiv:2307.09288, arXiv:2407.21783).
 * Same numbers, keys and files as HF `transformers/models/llama`. Mistral is a configuration of it (a sliding window).
 * Generation, loading and training live elsewhere.
 */
import {
  type AttentionStep,
  attend,
  Dropout,
  Embedding,
  type Initializer,
  initializeParameters,
  KvCache,
  type LayerCache,
  Linear,
  Module,
  mergeHeads,
  normal,
  ones,
  RMSNorm,
  type RotaryAngles,
  RotaryEmbedding,
  SwiGluFeedForward,
  skipInitialization,
  splitHeads,
  zeros,
} from '@heed/layers'
import { tf } from '@heed/tensor-backend'
import {
  type BaseModelOutput,
  CausalLm,
  type CausalLmInputs,
  type CausalLmOutput,
  type CheckpointLocation,
  type DecoderInputs,
  decoderStep,
  type HfConfig,
  type LoadOptions,
  lastPositions,
  loadPretrained,
  nextTokenLoss,
  PretrainedModel,
  rotaryAngles,
  runLayers,
  stackOutput,
} from '@heed/transformer'
import { classPrefixes, type LlamaConfig, llamaConfig, ropeParameters } from './config.ts'

/** What all layers of one forward pass share. */
interface LlamaStep extends AttentionStep {
  rotary: RotaryAngles
}

/** softmax(q kᵀ / sqrt(headDim)) v with rotated q and k; each key head serves a group of query heads (arXiv:2305.13245). */
export class LlamaAttention extends Module {
  readonly qProj: Linear
  readonly kProj: Linear
  readonly vProj: Linear
  readonly oProj: Linear
  readonly dropout: Dropout

  constructor(readonly config: LlamaConfig) {
    super()
    const { hiddenSize, numAttentionHeads, numKeyValueHeads, headDim, attentionBias: bias } = config
    this.qProj = this.child('q_proj', new Linear(hiddenSize, numAttentionHeads * headDim, { bias }))
    this.kProj = this.child('k_proj', new Linear(hiddenSize, numKeyValueHeads * headDim, { bias }))
    this.vProj = this.child('v_proj', new Linear(hiddenSize, numKeyValueHeads * headDim, { bias }))
    this.oProj = this.child('o_proj', new Linear(numAttentionHeads * headDim, hiddenSize, { bias }))
    this.dropout = this.child('dropout', new Dropout(config.attentionDropout))
  }

  /** x: [batch, seqLen, hiddenSize] -> same shape. */
  forward(x: tf.Tensor, { rotary, ...step }: LlamaStep, cache?: LayerCache): tf.Tensor {
    const { numAttentionHeads, numKeyValueHeads } = this.config
    const q = rotary.apply(splitHeads(this.qProj.forward(x), numAttentionHeads)) // [batch, seqLen, numHeads, headDim]
    const k = rotary.apply(splitHeads(this.kProj.forward(x), numKeyValueHeads))
    const v = splitHeads(this.vProj.forward(x), numKeyValueHeads)
    const [keys, values] = cache ? cache.append(k, v) : [k, v] // [batch, keyLen, numKeyValueHeads, headDim]
    return this.oProj.forward(mergeHeads(attend(q, keys, values, step, this.dropout.option)))
  }
}

/** One pre-norm layer: h = x + attention(norm(x)); y = h + mlp(norm(h)). Touvron et al. 2023, section 2.2. */
export class LlamaDecoderLayer extends Module {
  readonly selfAttn: LlamaAttention
  readonly mlp: SwiGluFeedForward
  readonly inputLayernorm: RMSNorm
  readonly postAttentionLayernorm: RMSNorm

  constructor(config: LlamaConfig) {
    super()
    const { hiddenSize, intermediateSize, rmsNormEps, mlpBias: bias } = config
    this.selfAttn = this.child('self_attn', new LlamaAttention(config))
    this.mlp = this.child('mlp', new SwiGluFeedForward(hiddenSize, intermediateSize, { bias }))
    this.inputLayernorm = this.child('input_layernorm', new RMSNorm(hiddenSize, rmsNormEps))
    this.postAttentionLayernorm = this.child('post_attention_layernorm', new RMSNorm(hiddenSize, rmsNormEps))
  }

  /** x: [batch, seqLen, hiddenSize] -> same shape. */
  forward(x: tf.Tensor, step: LlamaStep, cache?: LayerCache): tf.Tensor {
    return tf.tidy(() => {
      const h = tf.add(x, this.selfAttn.forward(this.inputLayernorm.forward(x), step, cache))
      return tf.add(h, this.mlp.forward(this.postAttentionLayernorm.forward(h)))
    })
  }
}

/** Where training begins, as in HF: matrices and tables normal, norms 1, biases 0. */
function llamaInitializer({ initializerRange }: LlamaConfig): (key: string) => Initializer {
  return key => (key.endsWith('norm.weight') ? ones : key.endsWith('.bias') ? zeros : normal(initializerRange))
}

export interface LlamaOptions {
  /** Seed of the first values of the parameters. */
  seed?: number
}

/** The decoder without a head: embeddings, layers, a last norm. */
export class LlamaModel extends PretrainedModel {
  readonly architecture: string
  readonly baseModelPrefix = 'model'
  readonly embedTokens: Embedding
  readonly layers: LlamaDecoderLayer[]
  readonly norm: RMSNorm
  readonly rotary: RotaryEmbedding

  constructor(
    readonly config: LlamaConfig,
    { seed = 0 }: LlamaOptions = {},
  ) {
    super()
    const { vocabSize, hiddenSize, numHiddenLayers, headDim, rmsNormEps, padTokenId: paddingIdx } = config
    const layers = (): LlamaDecoderLayer[] =>
      Array.from({ length: numHiddenLayers }, () => new LlamaDecoderLayer(config))
    this.architecture = `${classPrefixes[config.modelType] ?? 'Llama'}Model`
    this.embedTokens = this.child(
      'embed_tokens',
      skipInitialization(() => new Embedding(vocabSize, hiddenSize, { paddingIdx })),
    )
    this.layers = this.childList('layers', skipInitialization(layers))
    this.norm = this.child('norm', new RMSNorm(hiddenSize, rmsNormEps))
    this.rotary = new RotaryEmbedding(headDim, ropeParameters(config))
    initializeParameters(this, seed, llamaInitializer(config))
  }

  configToHf(): HfConfig {
    return llamaConfig.toHf(this.config)
  }

  /** The caller disposes of the output. Throws HEED_ID_OUT_OF_RANGE, HEED_SHAPE_MISMATCH. */
  forward(inputs: DecoderInputs): BaseModelOutput {
    const { vocabSize, slidingWindow } = this.config
    return tf.tidy(() => {
      const { ids, attention, ...positions } = decoderStep(this.architecture, inputs, vocabSize)
      const rotary = rotaryAngles(this.rotary, { ids, ...positions })
      const step = { ...attention, ...(slidingWindow !== null && { slidingWindow }), rotary }
      const x = this.embedTokens.forward(ids) // [batch, seqLen, hiddenSize]
      const run = (layer: LlamaDecoderLayer, y: tf.Tensor, i: number): tf.Tensor =>
        layer.forward(y, step, inputs.cache?.layers[i])
      const states = runLayers(x, this.layers, run, inputs.outputHiddenStates)
      return stackOutput(this.norm.forward(states.last), states, attention.weights)
    })
  }
}

/** LLaMA with a head that scores the next token. */
export class LlamaForCausalLM extends CausalLm {
  readonly architecture: string
  readonly baseModelPrefix = 'model'
  readonly model: LlamaModel
  readonly lmHead: Linear

  constructor(
    readonly config: LlamaConfig,
    { seed = 0 }: LlamaOptions = {},
  ) {
    super()
    const { vocabSize, hiddenSize, tieWordEmbeddings } = config
    this.architecture = `${classPrefixes[config.modelType] ?? 'Llama'}ForCausalLM`
    this.model = this.child(
      'model',
      skipInitialization(() => new LlamaModel(config)),
    )
    const tied = tieWordEmbeddings && { weight: this.model.embedTokens.weight }
    this.lmHead = this.child(
      'lm_head',
      skipInitialization(() => new Linear(hiddenSize, vocabSize, { bias: false, ...tied })),
    )
    initializeParameters(this, seed, llamaInitializer(config))
  }

  /** The model of an HF folder, in evaluation mode. Throws as `AutoModelForCausalLM.fromPretrained`. */
  static fromPretrained(location: CheckpointLocation, options: LoadOptions = {}): Promise<LlamaForCausalLM> {
    return loadPretrained(location, (hf, source) => new LlamaForCausalLM(llamaConfig.fromHf(hf, source)), options)
  }

  configToHf(): HfConfig {
    return llamaConfig.toHf(this.config)
  }

  createCache(capacity?: number): KvCache {
    return new KvCache(this.config.numHiddenLayers, capacity === undefined ? {} : { capacity })
  }

  forward({ labels, logitsToKeep, ...inputs }: CausalLmInputs): CausalLmOutput {
    return tf.tidy(() => {
      const { lastHiddenState, ...states } = this.model.forward(inputs)
      const logits = this.lmHead.forward(lastPositions(lastHiddenState, logitsToKeep)) // [batch, seqLen, vocabSize]
      return { logits, ...nextTokenLoss(this.architecture, logits, labels), ...states }
    })
  }
}
