import { type AdamWParameter, adamW, checkOptionNames } from '@heed/tensor-backend'
import { checkNumber, namesOf } from '../checks.ts'
import type { Gradients, NamedParameter, OptimizerStep } from './optimizer.ts'
import { StatefulOptimizer } from './stateful-optimizer.ts'
import { hasWeightDecay } from './weight-decay.ts'

export interface AdamWConfig {
  beta1?: number
  beta2?: number
  eps?: number
  /** Decay per unit of learning rate of the parameters that `hasWeightDecay` names. */
  weightDecay?: number
}

const known = namesOf<AdamWConfig>({ beta1: true, beta2: true, eps: true, weightDecay: true })

/** AdamW, Loshchilov & Hutter 2017 (arXiv:1711.05101); same numbers as `torch.optim.AdamW`. */
export class AdamW extends StatefulOptimizer {
  readonly #config: Required<AdamWConfig>

  /** Throws HEED_ARGUMENT_INVALID. */
  constructor(parameters: Iterable<NamedParameter>, config: AdamWConfig = {}) {
    checkOptionNames('AdamW', config, known)
    const complete = { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0, ...config }
    checkNumber('AdamW', 'beta1', complete.beta1, { min: 0, below: 1 })
    checkNumber('AdamW', 'beta2', complete.beta2, { min: 0, below: 1 })
    checkNumber('AdamW', 'eps', complete.eps, { min: 0 })
    checkNumber('AdamW', 'weightDecay', complete.weightDecay, { min: 0 })
    super(parameters, ({ shape }) => ({ exp_avg: shape, exp_avg_sq: shape, step: [] }))
    this.#config = complete
  }

  override step(gradients: Gradients, { learningRate, clip }: OptimizerStep): void {
    const { weightDecay, ...moments } = this.#config
    this.stepCount += 1
    const updates = new Map<number, AdamWParameter[]>() // by the steps of the parameter, which most have alike
    for (const [name, value] of this.parameters) {
      const gradient = gradients.get(name)
      if (!gradient) continue
      const mean = this.stateOf('exp_avg', name)
      const meanSquare = this.stateOf('exp_avg_sq', name)
      const step = this.countStep(name)
      const alike = updates.get(step) ?? []
      updates.set(step, alike)
      alike.push({ value, gradient, mean, meanSquare, weightDecay: hasWeightDecay(name, value) ? weightDecay : 0 })
    }
    for (const [step, alike] of updates) adamW(alike, { learningRate, ...moments, step, ...(clip && { clip }) })
  }
}
