import { Module, type Parameter } from '@heed/layers'
import { checkOptionNames, HeedError, tf } from '@heed/tensor-backend'
import { checkNumber, namesOf } from './checks.ts'
import { ignoreIndex } from './data/batch.ts'
import type { ModelInputs, TrainableModel, TrainingOutput } from './model.ts'
import { checkStandsApart } from './standing-apart.ts'

export interface DistillationConfig {
  /** Softens both distributions, 2 by default. */
  temperature?: number
  /** The part of the loss that is the teacher's, 0.5 by default; the rest is the model's own, of the labels. */
  alpha?: number
}

const known = namesOf<DistillationConfig & { labelShift: 0 }>({ temperature: true, alpha: true, labelShift: true })

/**
 * A model that learns from the distributions of a larger one, its teacher, beside the labels: alpha · T² · KL(teacher ‖ student),
 * both at temperature T, + (1 - alpha) · its own loss, over the positions that have a label. Hinton et al. 2015
 * (arXiv:1503.02531), section 2.
 */
export class DistilledModel<M extends Module & TrainableModel = Module & TrainableModel>
  extends Module
  implements TrainableModel
{
  readonly hasOwnLoss = true
  /** Saves `model`. */
  readonly savePretrained?: (folder: string) => Promise<unknown>
  readonly #temperature: number
  readonly #alpha: number
  readonly #labelShift: 0 | 1

  /** `labelShift` is 1 where a position predicts the next (causal models). Throws HEED_CONFIG_INVALID. */
  constructor(
    readonly model: M,
    readonly teacher: TrainableModel,
    config: DistillationConfig & { labelShift?: 0 | 1 } = {},
  ) {
    super()
    checkOptionNames('DistilledModel', config, known, 'HEED_CONFIG_INVALID')
    const { temperature = 2, alpha = 0.5, labelShift = 1 } = config
    checkStandsApart('DistilledModel', 'teacher', teacher, model, 'another model')
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
  forward({ labels, sparsePrediction: _, ...inputs }: ModelInputs): TrainingOutput {
    return tf.tidy(() => {
      const { logits, loss } = this.model.forward(labels ? { ...inputs, labels } : inputs)
      if (!labels || !loss) return { logits }
      const taught = this.teacher.forward(inputs).logits
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
