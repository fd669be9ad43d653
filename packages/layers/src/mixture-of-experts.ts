import { HeedError, tf } from '@heed/tensor-backend'
import { Linear } from './linear.ts'
import { Module } from './module.ts'

/** A part of a layer that keeps the shape of what it is given. */
export type LayerPart = Module & { forward(x: tf.Tensor): tf.Tensor }

export interface MixtureOfExpertsOptions {
  numExperts: number
  numExpertsPerTok: number
  /** Whether the probabilities of the chosen experts are scaled to sum to 1. */
  normTopkProb?: boolean
}

/**
 * y = Σ p_e(x) · expert_e(x) over the `numExpertsPerTok` experts with the highest p = softmax(x · W_gateᵀ); the others do not
 * compute. Shazeer et al. 2017 (arXiv:1701.06538), eq. 1; same numbers and keys as HF `MixtralSparseMoeBlock`.
 * Which tokens go to which expert is read from the device.
 */
export class MixtureOfExperts extends Module {
  readonly gate: Linear
  readonly experts: LayerPart[]

  /** Throws HEED_CONFIG_INVALID unless numExpertsPerTok is from 1 to numExperts. */
  constructor(
    readonly hiddenSize: number,
    readonly options: MixtureOfExpertsOptions,
    expert: () => LayerPart,
  ) {
    super()
    const { numExperts, numExpertsPerTok } = options
    if (!(Number.isInteger(numExpertsPerTok) && numExpertsPerTok >= 1 && numExpertsPerTok <= numExperts)) {
      throw new HeedError(
        'HEED_CONFIG_INVALID',
        `MixtureOfExperts: numExpertsPerTok is ${numExpertsPerTok}, expected a whole number from 1 to numExperts (${numExperts}). ` +
          'Change one of them.',
      )
    }
    this.gate = this.child('gate', new Linear(hiddenSize, numExperts, { bias: false }))
    this.experts = this.childList('experts', Array.from({ length: numExperts }, expert))
  }

  /** x: [..., hiddenSize] -> same shape. Throws HEED_SHAPE_MISMATCH. */
  forward(x: tf.Tensor): tf.Tensor {
    const { numExperts, numExpertsPerTok: k, normTopkProb = false } = this.options
    return tf.tidy(() => {
      const rows = x.reshape([-1, this.hiddenSize])
      const numRows = rows.shape[0]!
      const probabilities = tf.softmax(this.gate.forward(rows)) // [rows, numExperts]
      const chosen = tf.topk(probabilities, k).indices.dataSync<'int32'>() // [rows, k]
      const places = Array.from(chosen, (expert, i) => ({ expert, i }))
      const byExpert = places.sort((a, b) => a.expert - b.expert || a.i - b.i)

      const outputs = this.#run(rows, byExpert) // [rows · k, hiddenSize], sorted by expert
      const placeOf = new Int32Array(byExpert.length)
      for (const [place, { i }] of byExpert.entries()) placeOf[i] = place
      const perToken = tf.gather(outputs, tf.tensor1d(placeOf, 'int32')).reshape([numRows, k, this.hiddenSize])

      const flat = Int32Array.from(chosen, (expert, i) => Math.floor(i / k) * numExperts + expert)
      const weights = tf.gather(probabilities.flatten(), tf.tensor1d(flat, 'int32')).reshape([numRows, k, 1])
      const scaled = normTopkProb ? tf.div(weights, tf.sum(weights, 1, true)) : weights
      return tf.sum(tf.mul(perToken, scaled), 1).reshape(x.shape)
    })
  }

  /** Each expert on the rows that chose it. */
  #run(rows: tf.Tensor, byExpert: readonly { expert: number; i: number }[]): tf.Tensor {
    const { numExpertsPerTok: k } = this.options
    const outputs: tf.Tensor[] = []
    for (let begin = 0; begin < byExpert.length; ) {
      const { expert } = byExpert[begin]!
      let end = begin
      while (byExpert[end]?.expert === expert) end++
      const ids = byExpert.slice(begin, end).map(({ i }) => Math.floor(i / k))
      outputs.push(this.experts[expert]!.forward(tf.gather(rows, tf.tensor1d(ids, 'int32'))))
      begin = end
    }
    return tf.concat(outputs)
  }
}
