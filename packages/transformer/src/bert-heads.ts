/**
 * What BERT and its relatives are trained for: masked language modelling, next-sentence prediction, classification of texts and
 * tokens, question answering. Devlin et al. 2018 (arXiv:1810.04805), sections 3.1 and 4; numbers of HF's classes.
 */
import {
  Dropout,
  initializeParameters,
  initialValue,
  LayerNorm,
  Linear,
  Module,
  type Parameter,
  skipInitialization,
  zeros,
} from '@heed/layers'
import { type Activation, crossEntropy, tf } from '@heed/tensor-backend'
import { BertModel, type BertModelOutput, type BertOptions, bertInitializer, firstToken } from './bert.ts'
import { type BertConfig, type BertLayout, bertConfigTable, bertLayouts } from './bert-config.ts'
import { type ClassifierOutput, type SequenceLabels, sequenceLoss, tokenLoss } from './classification.ts'
import type { EncoderInputs } from './encoder-inputs.ts'
import type { HfConfig } from './hf-json.ts'
import type { TokenIds } from './inputs.ts'
import { type InnerStates, PretrainedModel } from './model.ts'
import { predictTokens, type TokenLabels } from './predict-tokens.ts'
import type { Architecture, Task } from './registry.ts'

/** A BERT with a head. */
abstract class BertWithHead extends PretrainedModel {
  readonly baseModelPrefix: string
  protected readonly layout: BertLayout
  readonly bert: BertModel

  constructor(
    readonly config: BertConfig,
    hasPooler: boolean,
  ) {
    super()
    this.layout = bertLayouts[config.modelType] ?? bertLayouts.bert!
    this.baseModelPrefix = this.layout.base
    this.bert = this.child(
      this.layout.base,
      skipInitialization(() => new BertModel(config, { hasPooler })),
    )
  }

  override isHeadKey(key: string): boolean {
    return key.startsWith(`${this.baseModelPrefix}.pooler.`) || super.isHeadKey(key)
  }

  configToHf(): HfConfig {
    return bertConfigTable(this.config.modelType).toHf(this.config)
  }

  /** HF's name of the class with this ending. */
  protected className(ending: string): string {
    return `${this.layout.classPrefix}${ending}`
  }

  protected initialize({ seed = 0 }: BertOptions): void {
    initializeParameters(this, seed, bertInitializer(this.config))
  }
}

/** Scores of the vocabulary at each position: norm(act(W · h)) · Eᵀ + b, with the embedding table E. */
class MaskedLmHead extends Module {
  readonly dense: Linear
  readonly norm: LayerNorm
  readonly decoder: Linear
  readonly activation: Activation

  constructor(
    readonly config: BertConfig,
    { mlmHead }: BertLayout,
    table: Parameter,
  ) {
    super()
    const { vocabSize, hiddenSize, layerNormEps: eps, tieWordEmbeddings } = config
    this.activation = mlmHead.activation ?? config.hiddenAct
    const bias = this.parameter(mlmHead.bias, initialValue([vocabSize], zeros))
    const tied = tieWordEmbeddings && { weight: table }
    this.dense = this.child(mlmHead.dense, new Linear(hiddenSize, hiddenSize))
    this.norm = this.child(mlmHead.norm, new LayerNorm(hiddenSize, { eps }))
    this.decoder = this.child(mlmHead.decoder, new Linear(hiddenSize, vocabSize, { bias, ...tied }))
  }

  /** x: [..., hiddenSize] -> [..., vocabSize]. */
  forward(x: tf.Tensor): tf.Tensor {
    return this.decoder.forward(this.norm.forward(this.dense.forward(x, this.activation)))
  }

  /** The scores at each position of x [batch, seqLen, hiddenSize], with the loss. Throws HEED_ID_OUT_OF_RANGE, HEED_SHAPE_MISMATCH. */
  predict(where: string, x: tf.Tensor, labels: TokenLabels): { logits: tf.Tensor; loss?: tf.Scalar } {
    const { vocabSize } = this.config
    return predictTokens(where, x, x => this.forward(x), { ...labels, vocabSize, predictsNext: false })
  }
}

export type MaskedLmOutput = InnerStates & {
  logits: tf.Tensor // [batch, seqLen, vocabSize], or as `sparsePrediction` says
  loss?: tf.Scalar
}

/** The labels are the tokens that stand at masked places, -100 elsewhere. */
export interface MaskedLmInputs extends EncoderInputs, TokenLabels {}

/** BERT that fills masked places. */
export class BertForMaskedLM extends BertWithHead {
  readonly architecture: string
  readonly head: MaskedLmHead

  constructor(config: BertConfig, options: BertOptions = {}) {
    super(config, false)
    this.architecture = this.className('ForMaskedLM')
    const table = this.bert.embeddings.wordEmbeddings.weight
    this.head = this.child(
      '',
      skipInitialization(() => new MaskedLmHead(config, this.layout, table)),
    )
    this.initialize(options)
  }

  /** The caller disposes of the output. Throws HEED_ID_OUT_OF_RANGE, HEED_SHAPE_MISMATCH. */
  forward({ labels, sparsePrediction, ...inputs }: MaskedLmInputs): MaskedLmOutput {
    return tf.tidy(() => {
      const { lastHiddenState, ...states } = this.bert.forward(inputs)
      const predicted = this.head.predict(this.architecture, lastHiddenState, { labels, sparsePrediction })
      return { ...predicted, ...withoutPooler(states) }
    })
  }
}

export interface PreTrainingInputs extends MaskedLmInputs {
  /** 0 where the second text follows the first, 1 where it is another: one a sequence. */
  nextSentenceLabel?: tf.Tensor | readonly number[] | undefined
}

export type PreTrainingOutput = InnerStates & {
  predictionLogits: tf.Tensor // [batch, seqLen, vocabSize], or as `sparsePrediction` says
  seqRelationshipLogits: tf.Tensor // [batch, 2]
  /** The sum of both losses; there when both labels were given. */
  loss?: tf.Scalar
}

/** BERT with both heads of its pre-training. */
export class BertForPreTraining extends BertWithHead {
  readonly architecture: string
  readonly head: MaskedLmHead
  readonly seqRelationship: Linear

  constructor(config: BertConfig, options: BertOptions = {}) {
    super(config, true)
    this.architecture = this.className('ForPreTraining')
    const table = this.bert.embeddings.wordEmbeddings.weight
    this.head = this.child(
      '',
      skipInitialization(() => new MaskedLmHead(config, this.layout, table)),
    )
    this.seqRelationship = this.child('cls.seq_relationship', new Linear(config.hiddenSize, 2))
    this.initialize(options)
  }

  /** The caller disposes of the output. Throws HEED_ID_OUT_OF_RANGE, HEED_SHAPE_MISMATCH. */
  forward({ labels, sparsePrediction, nextSentenceLabel, ...inputs }: PreTrainingInputs): PreTrainingOutput {
    return tf.tidy(() => {
      const { lastHiddenState, ...states } = this.bert.forward(inputs)
      const predicted = this.head.predict(this.architecture, lastHiddenState, { labels, sparsePrediction })
      const { logits: predictionLogits, loss: masked } = predicted
      const seqRelationshipLogits = this.seqRelationship.forward(states.poolerOutput!)
      const kind = 'single_label_classification'
      const { loss: next } = sequenceLoss(this.architecture, seqRelationshipLogits, nextSentenceLabel, kind)
      return {
        predictionLogits,
        seqRelationshipLogits,
        ...(masked && next && { loss: tf.add<tf.Scalar>(masked, next) }),
        ...withoutPooler(states),
      }
    })
  }
}

export interface SequenceClassificationInputs extends EncoderInputs {
  labels?: SequenceLabels | undefined
}

/** BERT that classifies a text by what stands at its first token. */
export class BertForSequenceClassification extends BertWithHead {
  readonly architecture: string
  /** Absent where the pooler takes its part. */
  readonly dense: Linear | undefined
  readonly classifier: Linear
  readonly dropout: Dropout

  constructor(config: BertConfig, options: BertOptions = {}) {
    super(config, (bertLayouts[config.modelType] ?? bertLayouts.bert!).classifier.dense === null)
    const { hiddenSize, labels, classifierDropout, hiddenDropout } = config
    const { dense, output } = this.layout.classifier
    this.architecture = this.className('ForSequenceClassification')
    if (dense !== null) this.dense = this.child(dense, new Linear(hiddenSize, hiddenSize))
    this.classifier = this.child(output, new Linear(hiddenSize, labels.length))
    this.dropout = this.child('dropout', new Dropout(classifierDropout ?? hiddenDropout))
    this.initialize(options)
  }

  /** The caller disposes of the output. Throws HEED_ID_OUT_OF_RANGE, HEED_SHAPE_MISMATCH. */
  forward({ labels, ...inputs }: SequenceClassificationInputs): ClassifierOutput {
    return tf.tidy(() => {
      const { lastHiddenState, ...states } = this.bert.forward(inputs)
      const pooled = states.poolerOutput ?? this.#pool(firstToken(lastHiddenState)) // [batch, hiddenSize]
      const logits = this.classifier.forward(this.dropout.forward(pooled))
      const loss = sequenceLoss(this.architecture, logits, labels, this.config.problemType)
      return { logits, ...loss, ...withoutPooler(states) }
    })
  }

  #pool(first: tf.Tensor): tf.Tensor {
    const { activation } = this.layout.classifier
    const x = this.dense!.forward(activation === 'tanh' ? this.dropout.forward(first) : first)
    return activation === 'tanh' ? tf.tanh(x) : tf.relu(x)
  }
}

export interface TokenClassificationInputs extends EncoderInputs {
  /** The class of each token, -100 where it does not count. */
  labels?: TokenIds | undefined
}

/** BERT that classifies each token. */
export class BertForTokenClassification extends BertWithHead {
  readonly architecture: string
  readonly classifier: Linear
  readonly dropout: Dropout

  constructor(config: BertConfig, options: BertOptions = {}) {
    super(config, false)
    this.architecture = this.className('ForTokenClassification')
    this.classifier = this.child('classifier', new Linear(config.hiddenSize, config.labels.length))
    this.dropout = this.child('dropout', new Dropout(config.classifierDropout ?? config.hiddenDropout))
    this.initialize(options)
  }

  /** The caller disposes of the output. Throws HEED_ID_OUT_OF_RANGE, HEED_SHAPE_MISMATCH. */
  forward({ labels, ...inputs }: TokenClassificationInputs): ClassifierOutput {
    return tf.tidy(() => {
      const { lastHiddenState, ...states } = this.bert.forward(inputs)
      const logits = this.classifier.forward(this.dropout.forward(lastHiddenState)) // [batch, seqLen, numLabels]
      return { logits, ...tokenLoss(this.architecture, logits, labels), ...withoutPooler(states) }
    })
  }
}

export interface QuestionAnsweringInputs extends EncoderInputs {
  /** Index of the answer's first and last token, one a sequence; beyond the end where there is no answer. */
  startPositions?: tf.Tensor | readonly number[] | undefined
  endPositions?: tf.Tensor | readonly number[] | undefined
}

export type QuestionAnsweringOutput = InnerStates & {
  startLogits: tf.Tensor // [batch, seqLen]
  endLogits: tf.Tensor
  loss?: tf.Scalar
}

/** BERT that finds the answer to a question in a text. */
export class BertForQuestionAnswering extends BertWithHead {
  readonly architecture: string
  readonly qaOutputs: Linear
  readonly dropout: Dropout

  constructor(config: BertConfig, options: BertOptions = {}) {
    super(config, false)
    this.architecture = this.className('ForQuestionAnswering')
    this.qaOutputs = this.child('qa_outputs', new Linear(config.hiddenSize, 2))
    this.dropout = this.child('dropout', new Dropout(config.questionDropout))
    this.initialize(options)
  }

  /** The caller disposes of the output. Throws HEED_ID_OUT_OF_RANGE, HEED_SHAPE_MISMATCH. */
  forward({ startPositions, endPositions, ...inputs }: QuestionAnsweringInputs): QuestionAnsweringOutput {
    return tf.tidy(() => {
      const { lastHiddenState, ...states } = this.bert.forward(inputs)
      const scores = this.qaOutputs.forward(this.dropout.forward(lastHiddenState)) // [batch, seqLen, 2]
      const [startLogits, endLogits] = tf.unstack(scores, -1) as [tf.Tensor, tf.Tensor]
      const isLabelled = startPositions !== undefined && endPositions !== undefined
      return {
        startLogits,
        endLogits,
        ...(isLabelled && {
          loss: tf.div<tf.Scalar>(
            tf.add(positionLoss(startLogits, startPositions), positionLoss(endLogits, endPositions)),
            2,
          ),
        }),
        ...withoutPooler(states),
      }
    })
  }
}

/** Cross-entropy of the position; one beyond the end does not count, as in HF. */
function positionLoss(logits: tf.Tensor, positions: tf.Tensor | readonly number[]): tf.Scalar {
  const seqLen = logits.shape[1]!
  const values = positions instanceof tf.Tensor ? positions.dataSync() : positions
  const labels = Int32Array.from(values, position => Math.min(Math.max(position, 0), seqLen))
  return crossEntropy(logits, tf.tensor1d(labels, 'int32'), { ignoreIndex: seqLen })
}

/** What a head passes on of the bare model's output. */
function withoutPooler({ poolerOutput: _unused, ...states }: Omit<BertModelOutput, 'lastHiddenState'>): InnerStates {
  return states
}

type BertClass = new (config: BertConfig, options?: BertOptions) => PretrainedModel

const classes: readonly [ending: string, task: Task, make: BertClass][] = [
  ['Model', 'base', BertModel],
  ['ForMaskedLM', 'masked-lm', BertForMaskedLM],
  ['ForPreTraining', 'pre-training', BertForPreTraining],
  ['ForSequenceClassification', 'sequence-classification', BertForSequenceClassification],
  ['ForTokenClassification', 'token-classification', BertForTokenClassification],
  ['ForQuestionAnswering', 'question-answering', BertForQuestionAnswering],
]

/** BERT, RoBERTa and DistilBERT, for `registerArchitecture`. */
export const bertArchitectures: Architecture[] = Object.entries(bertLayouts).flatMap(([modelType, { classPrefix }]) =>
  classes
    .filter(([, task]) => task !== 'pre-training' || modelType === 'bert')
    .map(
      ([ending, task, BertClass]): Architecture => ({
        architecture: classPrefix + ending,
        modelType,
        task,
        load: (config, source) => new BertClass(bertConfigTable(modelType).fromHf(config, source)),
      }),
    ),
)
