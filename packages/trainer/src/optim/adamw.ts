import { adamW } from '@heed/tensor-backend'
import { checkNumber } from '../checks.ts'
import type { Gradients, NamedParameter, Optimizer, OptimizerStep } from './optimizer.ts'
import { OptimizerState } from './optimizer-state.ts'
import { hasWeightDecay } from './weight-decay.ts'

export interface AdamWConfig {
  beta1?: number
  beta2?: number
  eps?: number
  /** Decay per unit of learning rate of the parameters that `hasWeightDecay` names. */
  weightDecay?: number
}

/** AdamW, Loshchilov & Hutter 2017 (arXiv:1711.05101); same numbers as `torch.optim.AdamW`. */
export class AdamW implements Optimizer {
  stepCount = 0
  readonly #parameters: readonly NamedParameter[]
  readonly #config: Required<AdamWConfig>
  readonly #state: OptimizerState

  /** Throws HEED_ARGUMENT_INVALID. */
  constructor(parameters: Iterable<NamedParameter>, config: AdamWConfig = {}) {
    this.#config = { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0, ...config }
    checkNumber('AdamW', 'beta1', this.#config.beta1, { min: 0, below: 1 })
    checkNumber('AdamW', 'beta2', this.#config.beta2, { min: 0, below: 1 })
    checkNumber('AdamW', 'eps', this.#config.eps, { min: 0 })
    checkNumber('AdamW', 'weightDecay', this.#config.weightDecay, { min: 0 })
    this.#parameters = [...parameters]
    this.#state = new OptimizerState(this.#parameters, ['exp_avg', 'exp_avg_sq'])
  }

  step(gradients: Gradients, { learningRate, clip }: OptimizerStep): void {
    const { weightDecay, ...moments } = this.#config
    this.stepCount += 1
    const updates = []
    for (const [name, value] of this.#parameters) {
      const gradient = gradients.get(name)
      if (!gradient) continue
      const mean = this.#state.get('exp_avg', name)
      const meanSquare = this.#state.get('exp_avg_sq', name)
      updates.push({ value, gradient, mean, meanSquare, weightDecay: hasWeightDecay(name, value) ? weightDecay : 0 })
    }
    adamW(updates, { learningRate, ...moments, step: this.stepCount, ...(clip && { clip }) })
  }

  stateDict(): ReturnType<Optimizer['stateDict']> {
    return this.#state.stateDict()
  }

  loadStateDict(state: Parameters<Optimizer['loadStateDict']>[0], stepCount: number): void {
    this.#state.loadStateDict(state)
    this.stepCount = stepCount
  }

  dispose(): void {
    this.#state.dispose()
  }
}
