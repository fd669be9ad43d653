import { Module, type Parameter } from '@heed/layers'
import { crossEntropy, HeedError, tf } from '@heed/tensor-backend'
import { checkNumber } from './checks.ts'
import { ignoreIndex } from './data/batch.ts'
import type { ModelInputs, TrainableModel, TrainingOutput } from './model.ts'

export interface DpoConfig {
  /** How far the model may go from the reference: the higher, the nearer it stays. 0.1 by default. */
  beta?: number
  /** The part of the pairs that may be the wrong way round (conservative DPO). */
  labelSmoothing?: number
}

/**
 * A causal language model that learns from pairs of answers, of which the first is preferred: Direct Preference Optimization,
 * Rafailov et al. 2023 (arXiv:2305.18290), eq. 7; same numbers as TRL's `DPOTrainer` with `loss_type="sigmoid"`. Train it with
 * `preferenceCollator`; `model` is what learns.
 */
export class DpoModel<M extends Module & TrainableModel = Module & TrainableModel>
  extends Module
  implements TrainableModel
{
  /** Saves `model`. */
  readonly savePretrained?: (folder: string) => Promise<unknown>
  readonly #beta: number
  readonly #labelSmoothing: number

  /** `reference` is the model before, whose weights stay as they are. Throws HEED_CONFIG_INVALID. */
  constructor(
    readonly model: M,
    readonly reference: TrainableModel,
    { beta = 0.1, labelSmoothing = 0 }: DpoConfig = {},
  ) {
    super()
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
        answerLogProbs('DpoModel', logits, labels),
        answerLogProbs('DpoModel', this.reference.forward(inputs).logits, labels),
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
function answerLogProbs(where: string, logits: tf.Tensor, labels: tf.Tensor): tf.Tensor {
  const [rows, seqLen, vocabSize] = logits.shape as [number, number, number]
  if (rows % 2 !== 0) {
    throw new HeedError(
      'HEED_SHAPE_MISMATCH',
      `${where}: inputIds have ${rows} rows, expected an even number: preferred answers, then the others. Use preferenceCollator.`,
    )
  }
  const predicted = tf.split(tf.slice(logits, [0, 0, 0], [rows, seqLen - 1, vocabSize]), rows)
  const wanted = tf.split(tf.slice(labels, [0, 1], [rows, seqLen - 1]), rows)
  const counts = tf.sum(tf.cast(tf.notEqual(tf.slice(labels, [0, 1], [rows, seqLen - 1]), ignoreIndex), 'float32'), 1)
  const means = tf.stack(predicted.map((row, i) => crossEntropy(row, wanted[i]!)))
  return tf.neg(tf.mul(means, counts))
}

export interface DistillationConfig {
  /** Softens both distributions, 2 by default. */
  temperature?: number
  /** The part of the loss that is the teacher's, 0.5 by default; the rest is the model's own, of the labels. */
  alpha?: number
}

/**
 * A model that learns from the distributions of a larger one, its teacher, beside the labels: alpha · T² · KL(teacher ‖ student),
 * both at temperature T, + (1 - alpha) · its own loss, over the positions that have a label. Hinton et al. 2015
 * (arXiv:1503.02531), section 2.
 */
export class DistilledModel<M extends Module & TrainableModel = Module & TrainableModel>
  extends Module
  implements TrainableModel
{
  /** Saves `model`. */
  readonly savePretrained?: (folder: string) => Promise<unknown>
  readonly #temperature: number
  readonly #alpha: number
  readonly #labelShift: 0 | 1

  /** `labelShift` is 1 where a position predicts the next (causal models). Throws HEED_CONFIG_INVALID. */
  constructor(
    readonly model: M,
    readonly teacher: TrainableModel,
    { temperature = 2, alpha = 0.5, labelShift = 1 }: DistillationConfig & { labelShift?: 0 | 1 } = {},
  ) {
    super()
    checkNumber('DistilledModel', 'temperature', temperature, { above: 0 }, 'HEED_CONFIG_INVALID')
    checkNumber('DistilledModel', 'alpha', alpha, { min: 0, max: 1 }, 'HEED_CONFIG_INVALID')
    this.#temperature = temperature
    this.#alpha = alpha
    this.#labelShift = labelShift
    this.child('', model)
    if (model.savePretrained) this.savePretrained = folder => model.savePretrained!(folder)
    teacher.eval()
  }

  /** Those of the model, by their own names. */
  override *namedParameters(): Generator<[key: string, parameter: Parameter]> {
    yield* this.model.namedParameters() as Iterable<[string, Parameter]>
  }

  /** Throws HEED_SHAPE_MISMATCH when the teacher has another vocabulary. */
  forward(inputs: ModelInputs): TrainingOutput {
    return tf.tidy(() => {
      const { labels } = inputs
      const { logits, loss } = this.model.forward(inputs)
      if (!labels || !loss) return { logits }
      const { labels: _, ...rest } = inputs
      const taught = this.teacher.forward(rest).logits
      if (taught.shape.join() !== logits.shape.join()) {
        throw new HeedError(
          'HEED_SHAPE_MISMATCH',
          `DistilledModel: the teacher's logits are of shape [${taught.shape.join(', ')}], expected [${logits.shape.join(', ')}]. ` +
            'Take a teacher with the same vocabulary.',
        )
      }
      const [student, teacher] = [logits, taught].map(values => tf.logSoftmax(tf.div(values, this.#temperature))) as [
        tf.Tensor,
        tf.Tensor,
      ]
      const divergence = tf.sum(tf.mul(tf.exp(teacher), tf.sub(teacher, student)), -1) // at each position
      const counts = tf.cast(tf.notEqual(labels, ignoreIndex), 'float32')
      const [at, where] = this.#labelShift ? shifted(divergence, counts) : [divergence, counts]
      const mean = tf.div(tf.sum(tf.mul(at, where)), tf.maximum(tf.sum(where), 1))
      const own = tf.mul(loss, 1 - this.#alpha)
      return { logits, loss: tf.add(tf.mul(mean, this.#alpha * this.#temperature ** 2), own) as tf.Scalar }
    })
  }
}

/** Positions without the last, labels without the first. */
function shifted(positions: tf.Tensor, labels: tf.Tensor): [tf.Tensor, tf.Tensor] {
  const [rows, seqLen] = labels.shape as [number, number]
  return [tf.slice(positions, [0, 0], [rows, seqLen - 1]), tf.slice(labels, [0, 1], [rows, seqLen - 1])]
}
