import { Module, type Parameter } from '@heed/layers'
import { checkOptionNames, HeedError, tf, tokenLogProbs } from '@heed/tensor-backend'
import { checkNumber, namesOf } from './checks.ts'
import { ignoreIndex } from './data/batch.ts'
import type { ModelInputs, TrainableModel, TrainingOutput } from './model.ts'
import { checkStandsApart } from './standing-apart.ts'

export interface DpoConfig {
  /** How far the model may go from the reference: the higher, the nearer it stays. 0.1 by default. */
  beta?: number
  /** The part of the pairs that may be the wrong way round (conservative DPO). */
  labelSmoothing?: number
}

const known = namesOf<DpoConfig>({ beta: true, labelSmoothing: true })

/**
 * A causal language model that learns from pairs of answers, of which the first is preferred: Direct Preference Optimization,
 * Rafailov et al. 2023 (arXiv:2305.18290), eq. 7; same numbers as TRL's `DPOTrainer` with `loss_type="sigmoid"`. Train it with
 * `preferenceCollator`; `model` is what learns.
 */
export class DpoModel<M extends Module & TrainableModel = Module & TrainableModel>
  extends Module
  implements TrainableModel
{
  readonly hasOwnLoss = true
  /** Saves `model`. */
  readonly savePretrained?: (folder: string) => Promise<unknown>
  readonly #beta: number
  readonly #labelSmoothing: number

  /** `reference` is the model before, whose weights stay as they are. Throws HEED_CONFIG_INVALID. */
  constructor(
    readonly model: M,
    readonly reference: TrainableModel,
    config: DpoConfig = {},
  ) {
    super()
    checkOptionNames('DpoModel', config, known, 'HEED_CONFIG_INVALID')
    const { beta = 0.1, labelSmoothing = 0 } = config
    checkStandsApart('DpoModel', 'reference', reference, model, 'the model as it was before')
    checkNumber('DpoModel', 'beta', beta, { above: 0 }, 'HEED_CONFIG_INVALID')
    checkNumber('DpoModel', 'labelSmoothing', labelSmoothing, { min: 0, below: 0.5 }, 'HEED_CONFIG_INVALID')
    this.#beta = beta
    this.#labelSmoothing = labelSmoothing
    this.child('', model)
    if (model.savePretrained) this.savePretrained = folder => model.savePretrained!(folder)
    reference.eval()
  }

  /** Those of the model, by their own names. */
  override *namedParameters(): Generator<[key: string, parameter: Parameter]> {
    yield* this.model.namedParameters() as Iterable<[string, Parameter]>
  }

  /** Rows: the preferred answers, then, in the same order, the others. Throws HEED_SHAPE_MISMATCH for an odd number of rows. */
  forward({ labels, ...inputs }: ModelInputs): TrainingOutput {
    return tf.tidy(() => {
      const { logits } = this.model.forward(inputs)
      if (!labels) return { logits }
      const ratios = tf.sub(
        answerLogProbs(logits, labels),
        answerLogProbs(this.reference.forward(inputs).logits, labels),
      ) // [2 · pairs]: log of how much likelier the answer is than by the reference
      const [chosen, rejected] = tf.split(ratios, 2) as [tf.Tensor, tf.Tensor]
      const margin = tf.mul(tf.sub(chosen, rejected), this.#beta)
      const loss = tf.add(
        tf.mul(tf.softplus(tf.neg(margin)), 1 - this.#labelSmoothing),
        tf.mul(tf.softplus(margin), this.#labelSmoothing),
      )
      return { logits, loss: tf.mean(loss) as tf.Scalar }
    })
  }
}

/** The log probability of each row's labels, each predicted one position before: [rows]. Throws HEED_SHAPE_MISMATCH. */
function answerLogProbs(logits: tf.Tensor, labels: tf.Tensor): tf.Tensor {
  const [rows, seqLen, vocabSize] = logits.shape as [number, number, number]
  if (rows % 2 !== 0) {
    throw new HeedError(
      'HEED_SHAPE_MISMATCH',
      `DpoModel: inputIds have ${rows} rows, expected an even number: preferred answers, then the others. Use preferenceCollator.`,
    )
  }
  const predicted = tf.slice(logits, [0, 0, 0], [rows, seqLen - 1, vocabSize])
  const wanted = tf.slice(labels, [0, 1], [rows, seqLen - 1])
  const isAnswer = tf.notEqual(wanted, ignoreIndex)
  const ids = tf.where(isAnswer, wanted, tf.zerosLike(wanted))
  return tf.sum(tf.where(isAnswer, tokenLogProbs(predicted, ids), tf.scalar(0)), 1)
}
