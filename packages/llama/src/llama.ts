/**
 * LLaMA, a decoder-only transformer: pre-normalisation with RMSNorm, rotary positions, grouped-query attention, SwiGLU.
 * Touvron et al. 2023 (arXiv:2302.13971), section 2.2, and its successors (arXiv:2307.09288, arXiv:2407.21783).
 * Same numbers, keys and files as HF `transformers/models/llama`. Its relatives are configurations of it, or bring parts of
 * their own (`Relative`). Generation, loading and training live elsewhere.
 */
import {
  type AttentionCache,
  attend,
  Dropout,
  Embedding,
  GatedFeedForward,
  type Initializer,
  initializeParameters,
  KvCache,
  type LayerPart,
  Linear,
  Module,
  mergeHeads,
  normal,
  RMSNorm,
  type RotaryAngles,
  RotaryEmbedding,
  skipInitialization,
  splitHeads,
} from '@heed/layers'
import { type AttentionOptions, tf } from '@heed/tensor-backend'
import {
  type BaseModelOutput,
  type CacheOptions,
  CausalLm,
  type CausalLmInputs,
  type CausalLmOutput,
  type CheckpointLocation,
  type DecoderInputs,
  decoderStep,
  type HfConfig,
  isNextToken,
  kvCacheOptions,
  type LoadOptions,
  lastPositions,
  loadPretrained,
  PretrainedModel,
  predictTokens,
  rotaryAngles,
  runLayers,
  stackOutput,
} from '@heed/transformer'
import { type LlamaConfig, llamaConfig, ropeParameters, rotaryDim } from './config.ts'
import type {
  AttentionPart,
  LlamaAttentionOptions,
  LlamaLayerParts,
  LlamaOptions,
  LlamaStep,
  Relative,
} from './parts.ts'

/** softmax(scale · q kᵀ) v with q and k turned by position, over the keys so far -> [batch, seqLen | positionsToKeep, numHeads · headDim]. */
export function rotaryAttention(
  [q, k, v]: [q: tf.Tensor, k: tf.Tensor, v: tf.Tensor], // [batch, seqLen, numHeads | numKeyValueHeads, headDim]
  { rotary, positionsToKeep, ...step }: LlamaStep,
  cache: AttentionCache | undefined,
  options: Pick<AttentionOptions, 'dropout' | 'scale' | 'softcap'>,
): tf.Tensor {
  const turned = rotary ? rotary.apply(k) : k
  const queries = rotary ? rotary.apply(q) : q
  const y = cache
    ? cache.attend(queries, turned, v, step, options)
    : attend(queries, turned, v, { ...step, ...options })
  return lastPositions(mergeHeads(y), positionsToKeep)
}

/** Each key head serves a group of query heads. Ainslie et al. 2023 (arXiv:2305.13245). */
export class LlamaAttention extends Module {
  readonly qProj: Linear
  readonly kProj: Linear
  readonly vProj: Linear
  readonly oProj: Linear
  readonly qNorm: LayerPart | undefined
  readonly kNorm: LayerPart | undefined
  readonly dropout: Dropout
  readonly options: Pick<AttentionOptions, 'scale' | 'softcap'>

  constructor(
    readonly config: LlamaConfig,
    { headNorm, ...options }: LlamaAttentionOptions = {},
  ) {
    super()
    const { hiddenSize, numAttentionHeads, numKeyValueHeads, headDim, attentionBias, qkvBias } = config
    const bias = attentionBias || qkvBias
    this.qProj = this.child('q_proj', new Linear(hiddenSize, numAttentionHeads * headDim, { bias }))
    this.kProj = this.child('k_proj', new Linear(hiddenSize, numKeyValueHeads * headDim, { bias }))
    this.vProj = this.child('v_proj', new Linear(hiddenSize, numKeyValueHeads * headDim, { bias }))
    this.oProj = this.child('o_proj', new Linear(numAttentionHeads * headDim, hiddenSize, { bias: attentionBias }))
    this.qNorm = headNorm && this.child('q_norm', headNorm())
    this.kNorm = headNorm && this.child('k_norm', headNorm())
    this.dropout = this.child('dropout', new Dropout(config.attentionDropout))
    this.options = options
  }

  /** x: [batch, seqLen, hiddenSize] -> same shape. */
  forward(x: tf.Tensor, step: LlamaStep, cache?: AttentionCache): tf.Tensor {
    const { numAttentionHeads, numKeyValueHeads } = this.config
    return tf.tidy(() => {
      const q = splitHeads(this.qProj.forward(x), numAttentionHeads) // [batch, seqLen, numHeads, headDim]
      const k = splitHeads(this.kProj.forward(x), numKeyValueHeads)
      const v = splitHeads(this.vProj.forward(x), numKeyValueHeads)
      const [qn, kn] = [this.qNorm?.forward(q) ?? q, this.kNorm?.forward(k) ?? k]
      return this.oProj.forward(rotaryAttention([qn, kn, v], step, cache, { ...this.options, ...this.dropout.option }))
    })
  }
}

/** One pre-norm layer: h = x + attention(norm(x)); y = h + mlp(norm(h)). Touvron et al. 2023, section 2.2. */
export class LlamaDecoderLayer extends Module {
  readonly selfAttn: AttentionPart
  readonly mlp: LayerPart
  readonly inputLayernorm: LayerPart
  readonly postAttentionLayernorm: LayerPart

  constructor(
    config: LlamaConfig,
    { attention, mlp, mlpKey = 'mlp', norm = () => llamaNorm(config) }: LlamaLayerParts = {},
  ) {
    super()
    const { hiddenSize, intermediateSize, mlpBias: bias } = config
    this.selfAttn = this.child('self_attn', attention ?? new LlamaAttention(config))
    this.mlp = this.child(mlpKey, mlp ?? new GatedFeedForward(hiddenSize, intermediateSize, { bias }))
    this.inputLayernorm = this.child('input_layernorm', norm())
    this.postAttentionLayernorm = this.child('post_attention_layernorm', norm())
  }

  /** x: [batch, seqLen, hiddenSize] -> same shape. */
  forward(x: tf.Tensor, step: LlamaStep, cache?: AttentionCache): tf.Tensor {
    return tf.tidy(() => {
      const attended = this.selfAttn.forward(this.inputLayernorm.forward(x), step, cache)
      const h = tf.add(lastPositions(x, step.positionsToKeep), attended)
      return tf.add(h, this.mlp.forward(this.postAttentionLayernorm.forward(h)))
    })
  }
}

const llamaNorm = ({ hiddenSize, rmsNormEps }: LlamaConfig): RMSNorm => new RMSNorm(hiddenSize, rmsNormEps)

export const llama: Relative = {
  prefix: 'Llama',
  config: llamaConfig,
  layer: config => new LlamaDecoderLayer(config),
  norm: llamaNorm,
}

/** Where training begins, as in HF: matrices and tables normal, norms and biases as they are made. */
export function llamaInitializer({
  initializerRange,
}: LlamaConfig): (key: string, of: tf.Tensor) => Initializer | undefined {
  return (_key, { rank }) => (rank > 1 ? normal(initializerRange) : undefined)
}

/** What a forward pass is given besides the weights: ids [batch, seqLen], and what layers of either kind share. */
interface LlamaPass {
  ids: tf.Tensor2D
  full: LlamaStep & { rotary: RotaryAngles }
  sliding: LlamaStep & { rotary: RotaryAngles }
}

/** The tensors of a pass. */
function tensorsOf({ ids, full, sliding }: LlamaPass): tf.Tensor[] {
  const angles = full.rotary === sliding.rotary ? [full.rotary] : [full.rotary, sliding.rotary]
  const mask = full.keyPaddingMask ? [full.keyPaddingMask] : []
  return [ids, ...mask, ...angles.flatMap(({ cos, sin }) => [cos, sin])]
}

/** The decoder without a head: embeddings, layers, a last norm. */
export class LlamaModel extends PretrainedModel {
  readonly architecture: string
  readonly baseModelPrefix = 'model'
  readonly relative: Relative
  readonly embedTokens: Embedding
  readonly layers: AttentionPart[]
  readonly norm: LayerPart
  readonly rotary: RotaryEmbedding
  readonly localRotary: RotaryEmbedding

  constructor(
    readonly config: LlamaConfig,
    { seed = 0, relative = llama }: LlamaOptions = {},
  ) {
    super()
    const { vocabSize, hiddenSize, numHiddenLayers, padTokenId: paddingIdx } = config
    const layers = (): AttentionPart[] => Array.from({ length: numHiddenLayers }, (_, i) => relative.layer(config, i))
    this.relative = relative
    this.architecture = `${relative.textPrefix ?? relative.prefix}Model`
    this.embedTokens = this.child(
      'embed_tokens',
      skipInitialization(() => new Embedding(vocabSize, hiddenSize, { paddingIdx })),
    )
    this.layers = this.childList('layers', skipInitialization(layers))
    this.norm = this.child('norm', relative.norm(config))
    this.rotary = new RotaryEmbedding(rotaryDim(config), ropeParameters(config))
    this.localRotary = relative.localRotary?.(config) ?? this.rotary
    initializeParameters(this, seed, llamaInitializer(config))
  }

  configToHf(): HfConfig {
    return this.relative.config.toHf(this.config)
  }

  /** The caller disposes of the output. Throws HEED_ID_OUT_OF_RANGE, HEED_SHAPE_MISMATCH. */
  forward(inputs: DecoderInputs): BaseModelOutput {
    return tf.tidy(() => this.run(this.prepare(inputs), inputs))
  }

  /** What depends on the inputs and their positions. Throws HEED_ID_OUT_OF_RANGE, HEED_SHAPE_MISMATCH. */
  prepare(inputs: DecoderInputs): LlamaPass {
    const { vocabSize, slidingWindow } = this.config
    const { attention, ...positions } = decoderStep(this.architecture, inputs, vocabSize)
    const full = { ...attention, rotary: rotaryAngles(this.rotary, positions) }
    const rotary = this.localRotary === this.rotary ? full.rotary : rotaryAngles(this.localRotary, positions)
    const sliding = { ...attention, ...(slidingWindow !== null && { slidingWindow }), rotary }
    return { ids: positions.ids, full, sliding }
  }

  /** Of the last hidden state, the last `positionsToKeep` positions (all by default, and with `outputHiddenStates`). */
  run(
    { ids, full, sliding }: LlamaPass,
    { cache, outputHiddenStates }: DecoderInputs,
    positionsToKeep?: number,
  ): BaseModelOutput {
    const { layerTypes } = this.config
    const layer = (of: AttentionPart, y: tf.Tensor, i: number): tf.Tensor => {
      const step = layerTypes[i] === 'sliding_attention' ? sliding : full
      const isPartial = i === this.layers.length - 1 && !outputHiddenStates
      return of.forward(y, isPartial ? { ...step, positionsToKeep } : step, cache?.layers[i])
    }
    const embedded = this.embedTokens.forward(ids) // [batch, seqLen, hiddenSize]
    const x = this.relative.scaleEmbeddings?.(embedded, this.config) ?? embedded
    const states = runLayers(x, this.layers, layer, outputHiddenStates)
    return stackOutput(this.norm.forward(states.last), states, full.weights)
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
    { seed = 0, relative = llama }: LlamaOptions = {},
  ) {
    super()
    const { vocabSize, hiddenSize, tieWordEmbeddings } = config
    this.architecture = `${relative.prefix}ForCausalLM`
    this.model = this.child(
      'model',
      skipInitialization(() => new LlamaModel(config, { relative })),
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
    return this.model.configToHf()
  }

  createCache(capacity?: number, options?: CacheOptions): KvCache {
    const { numHiddenLayers, layerTypes, slidingWindow } = this.config
    const windows = layerTypes.map(type => (type === 'sliding_attention' ? slidingWindow : null))
    return new KvCache(numHiddenLayers, kvCacheOptions(capacity, options, windows))
  }

  override sameAnglesUpTo(textLength: number): number {
    return this.model.rotary.sameAnglesUpTo(textLength)
  }

  forward({ labels, sparsePrediction, logitsToKeep, ...inputs }: CausalLmInputs): CausalLmOutput {
    return tf.tidy(() => {
      const pass = this.model.prepare(inputs)
      const { cache } = inputs
      if (cache instanceof KvCache && !labels && isNextToken({ ids: pass.ids, attention: pass.full }, inputs)) {
        const next = (): tf.Tensor => this.#score(this.model.run(pass, inputs).lastHiddenState)
        return { logits: cache.step(this, tensorsOf(pass), next) }
      }
      const { lastHiddenState, ...states } = this.model.run(pass, inputs, logitsToKeep)
      const x = lastPositions(lastHiddenState, logitsToKeep)
      const wanted = { labels, sparsePrediction, vocabSize: this.config.vocabSize, predictsNext: true }
      return { ...predictTokens(this.architecture, x, x => this.#score(x), wanted), ...states }
    })
  }

  /** x: [batch, seqLen, hiddenSize] -> [batch, seqLen, vocabSize] */
  #score(x: tf.Tensor): tf.Tensor {
    const scores = this.lmHead.forward(x)
    return this.model.relative.capLogits?.(scores, this.config) ?? scores
  }
}
