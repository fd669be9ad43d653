/**
 * BERT, an encoder: every token sees every other, post-normalisation, learned positions and token types.
 * Devlin et al. 2018 (arXiv:1810.04805), section 3. RoBERTa (arXiv:1907.11692) and DistilBERT (arXiv:1910.01108) are the same
 * blocks under other keys. Same numbers and files as HF `transformers/models/bert`, `roberta` and `distilbert`.
 * The heads are in bert-heads.ts. It does not serve BERT as a decoder.
 */
import {
  type AttentionStep,
  Dropout,
  Embedding,
  type Initializer,
  initializeParameters,
  LayerNorm,
  Linear,
  Module,
  MultiHeadAttention,
  normal,
  ones,
  skipInitialization,
  zeros,
} from '@heed/layers'
import { tf } from '@heed/tensor-backend'
import { type BertConfig, type BertLayout, bertConfigTable, bertLayouts } from './bert-config.ts'
import { learnedPositions } from './decoder-inputs.ts'
import { type EncoderInputs, encoderStep } from './encoder-inputs.ts'
import type { HfConfig } from './hf-json.ts'
import { checkIdShape, checkIds, type FlatIds, flattenIds, idRows, idTensor } from './inputs.ts'
import { runLayers, stackOutput } from './layer-stack.ts'
import { type BaseModelOutput, PretrainedModel } from './model.ts'

/** One post-norm layer: h = norm(x + attention(x)); y = norm(h + W₂ · act(W₁ · h)). Vaswani et al. 2017, section 3.1. */
export class BertLayer extends Module {
  readonly attention: MultiHeadAttention
  readonly attentionNorm: LayerNorm
  readonly intermediate: Linear
  readonly output: Linear
  readonly outputNorm: LayerNorm
  readonly dropout: Dropout

  constructor(
    readonly config: BertConfig,
    layout: BertLayout,
  ) {
    super()
    const { hiddenSize, intermediateSize, numAttentionHeads, attentionDropout, layerNormEps: eps } = config
    const attention = { hiddenSize, numAttentionHeads, dropout: attentionDropout, keys: layout.attention }
    this.attention = this.child('attention', new MultiHeadAttention(attention))
    this.attentionNorm = this.child(layout.attentionNorm, new LayerNorm(hiddenSize, { eps }))
    this.intermediate = this.child(layout.intermediate, new Linear(hiddenSize, intermediateSize))
    this.output = this.child(layout.output, new Linear(intermediateSize, hiddenSize))
    this.outputNorm = this.child(layout.outputNorm, new LayerNorm(hiddenSize, { eps }))
    this.dropout = this.child('dropout', new Dropout(config.hiddenDropout))
  }

  /** x: [batch, seqLen, hiddenSize] -> same shape. */
  forward(x: tf.Tensor, step: AttentionStep): tf.Tensor {
    return tf.tidy(() => {
      const h = this.attentionNorm.forward(tf.add(x, this.dropout.forward(this.attention.forward(x, step))))
      const inner = this.intermediate.forward(h, this.config.hiddenAct) // [batch, seqLen, intermediateSize]
      return this.outputNorm.forward(tf.add(h, this.dropout.forward(this.output.forward(inner))))
    })
  }
}

/** norm(word + position + token type). */
export class BertEmbeddings extends Module {
  readonly wordEmbeddings: Embedding
  readonly positionEmbeddings: Embedding
  readonly tokenTypeEmbeddings: Embedding | undefined
  readonly layerNorm: LayerNorm
  readonly dropout: Dropout

  constructor(
    readonly config: BertConfig,
    readonly layout: BertLayout,
  ) {
    super()
    const { vocabSize, hiddenSize, maxPositionEmbeddings, typeVocabSize, layerNormEps: eps } = config
    const words = { paddingIdx: config.padTokenId }
    const positions = { paddingIdx: layout.countsTokensOnly ? config.padTokenId : null }
    this.wordEmbeddings = this.child('word_embeddings', new Embedding(vocabSize, hiddenSize, words))
    this.positionEmbeddings = this.child(
      'position_embeddings',
      new Embedding(maxPositionEmbeddings, hiddenSize, positions),
    )
    if (typeVocabSize > 0) {
      this.tokenTypeEmbeddings = this.child('token_type_embeddings', new Embedding(typeVocabSize, hiddenSize))
    }
    this.layerNorm = this.child('LayerNorm', new LayerNorm(hiddenSize, { eps }))
    this.dropout = this.child('dropout', new Dropout(config.hiddenDropout))
  }

  /** -> [batch, seqLen, hiddenSize]. Throws HEED_ID_OUT_OF_RANGE, HEED_SHAPE_MISMATCH. */
  forward(where: string, ids: FlatIds, { tokenTypeIds, positionIds }: EncoderInputs): tf.Tensor {
    const { padTokenId } = this.config
    const counted = this.layout.countsTokensOnly ? tokenPositions(idRows(ids), padTokenId ?? 0) : undefined
    const rows = positionIds ? idRows(flattenIds(where, 'positionIds', positionIds)) : counted
    const tensor = idTensor(ids)
    const positions = learnedPositions(where, this.positionEmbeddings, { ids: tensor, offset: 0, positionIds: rows })
    const words = tf.add(this.wordEmbeddings.forward(tensor), positions)
    const types = this.#tokenTypes(where, ids, tokenTypeIds)
    return this.dropout.forward(this.layerNorm.forward(types ? tf.add(words, types) : words))
  }

  #tokenTypes(where: string, { batch, seqLen }: FlatIds, given: EncoderInputs['tokenTypeIds']): tf.Tensor | undefined {
    if (!this.tokenTypeEmbeddings) return undefined
    const none = { values: new Int32Array(batch * seqLen), batch, seqLen }
    const types = given ? flattenIds(where, 'tokenTypeIds', given) : none
    checkIdShape(where, 'tokenTypeIds', types, [batch, seqLen])
    checkIds(where, 'tokenTypeIds', types, { below: this.config.typeVocabSize, boundName: 'typeVocabSize' })
    return this.tokenTypeEmbeddings.forward(idTensor(types))
  }
}

/** padTokenId + 1, + 2, ... for tokens, padTokenId for padding: fairseq's way, which RoBERTa keeps. */
function tokenPositions(ids: readonly (readonly number[])[], padTokenId: number): number[][] {
  return ids.map(row => {
    let position = padTokenId
    return row.map(id => (id === padTokenId ? padTokenId : ++position))
  })
}

/** Where training begins, as in HF: matrices and tables normal, norms 1, biases 0. */
export function bertInitializer({ initializerRange }: BertConfig): (key: string) => Initializer {
  return key => {
    if (key.endsWith('bias')) return zeros
    return /(?:LayerNorm|layer_norm)\.weight$/.test(key) ? ones : normal(initializerRange)
  }
}

export interface BertOptions {
  /** Seed of the first values of the parameters. */
  seed?: number
  /** Whether the bare model has its pooler; by default as its model type has. */
  hasPooler?: boolean
}

export type BertModelOutput = BaseModelOutput & {
  /** tanh(W · first token): [batch, hiddenSize]; there when the model has a pooler. */
  poolerOutput?: tf.Tensor
}

/** The encoder without a head. */
export class BertModel extends PretrainedModel {
  readonly architecture: string
  readonly baseModelPrefix: string
  readonly embeddings: BertEmbeddings
  readonly layers: BertLayer[]
  readonly pooler: Linear | undefined

  constructor(
    readonly config: BertConfig,
    { seed = 0, hasPooler }: BertOptions = {},
  ) {
    super()
    const layout = bertLayouts[config.modelType] ?? bertLayouts.bert!
    const layers = (): BertLayer[] =>
      Array.from({ length: config.numHiddenLayers }, () => new BertLayer(config, layout))
    this.architecture = `${layout.classPrefix}Model`
    this.baseModelPrefix = layout.base
    this.embeddings = this.child(
      'embeddings',
      skipInitialization(() => new BertEmbeddings(config, layout)),
    )
    this.layers = this.childList(layout.layers, skipInitialization(layers))
    if (hasPooler ?? layout.hasPooler) {
      this.pooler = this.child('pooler.dense', new Linear(config.hiddenSize, config.hiddenSize))
    }
    initializeParameters(this, seed, bertInitializer(config))
  }

  /** A pooler counts as a head: checkpoints for masked language modelling lack it. */
  override isHeadKey(key: string): boolean {
    return key.startsWith('pooler.') || super.isHeadKey(key)
  }

  /** Many a bare BERT was saved without the pooler, as `add_pooling_layer=False` of transformers does. */
  override isOptionalKey(key: string): boolean {
    return key.startsWith('pooler.')
  }

  configToHf(): HfConfig {
    return bertConfigTable(this.config.modelType).toHf(this.config)
  }

  /** The caller disposes of the output. Throws HEED_ID_OUT_OF_RANGE, HEED_SHAPE_MISMATCH. */
  forward(inputs: EncoderInputs): BertModelOutput {
    return tf.tidy(() => {
      const { ids, attention } = encoderStep(this.architecture, inputs, this.config.vocabSize)
      const x = this.embeddings.forward(this.architecture, ids, inputs) // [batch, seqLen, hiddenSize]
      const run = (layer: BertLayer, y: tf.Tensor): tf.Tensor => layer.forward(y, attention)
      const states = runLayers(x, this.layers, run, inputs.outputHiddenStates)
      return {
        ...stackOutput(states.last, states, attention.weights),
        ...(this.pooler && { poolerOutput: tf.tanh(this.pooler.forward(firstToken(states.last))) }),
      }
    })
  }
}

/** x: [batch, seqLen, hiddenSize] -> [batch, hiddenSize]: what stands at `[CLS]` or `<s>`. */
export function firstToken(x: tf.Tensor): tf.Tensor {
  const [batch, , hiddenSize] = x.shape as [number, number, number]
  return tf.slice(x, [0, 0, 0], [batch, 1, hiddenSize]).reshape([batch, hiddenSize])
}
