import { initializeParameters, Linear, skipInitialization } from '@heed/layers'
import { tf } from '@heed/tensor-backend'
import {
  type ClassifierOutput,
  flattenIds,
  type HfConfig,
  idRows,
  lastTokens,
  PretrainedModel,
  rowsAt,
  type SequenceClassifierInputs,
  sequenceLoss,
} from '@heed/transformer'
import type { LlamaConfig } from './config.ts'
import { LlamaModel, llama, llamaInitializer } from './llama.ts'
import type { LlamaOptions } from './parts.ts'

/** LLaMA, or a relative, with a head that classifies a text by its last token that is not padding. */
export class LlamaForSequenceClassification extends PretrainedModel {
  readonly architecture: string
  readonly baseModelPrefix = 'model'
  readonly model: LlamaModel
  readonly score: Linear

  constructor(
    readonly config: LlamaConfig,
    { seed = 0, relative = llama }: LlamaOptions = {},
  ) {
    super()
    const { hiddenSize, labels } = config
    this.architecture = `${relative.textPrefix ?? relative.prefix}ForSequenceClassification`
    this.model = this.child(
      'model',
      skipInitialization(() => new LlamaModel(config, { relative })),
    )
    this.score = this.child(
      'score',
      skipInitialization(() => new Linear(hiddenSize, labels.length, { bias: false })),
    )
    initializeParameters(this, seed, llamaInitializer(config))
  }

  configToHf(): HfConfig {
    return this.model.configToHf()
  }

  /** The caller disposes of the output. Throws HEED_ID_OUT_OF_RANGE, HEED_SHAPE_MISMATCH. */
  forward({ labels, ...inputs }: SequenceClassifierInputs): ClassifierOutput {
    return tf.tidy(() => {
      const { lastHiddenState, ...states } = this.model.forward(inputs)
      const ids = idRows(flattenIds(this.architecture, 'inputIds', inputs.inputIds))
      const last = rowsAt(lastHiddenState, lastTokens(ids, this.config.padTokenId)) // [batch, hiddenSize]
      const logits = this.score.forward(last) // [batch, numLabels]
      return { logits, ...sequenceLoss(this.architecture, logits, labels, this.config.problemType), ...states }
    })
  }
}
