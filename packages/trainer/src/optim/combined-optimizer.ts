import type { tf } from '@heed/tensor-backend'
import type { Gradients, Optimizer, OptimizerStep } from './optimizer.ts'

/** Several optimizers, each for parameters of its own, as one. */
export class CombinedOptimizer implements Optimizer {
  constructor(readonly parts: readonly Optimizer[]) {}

  get stepCount(): number {
    return this.parts[0]?.stepCount ?? 0
  }

  step(gradients: Gradients, options: OptimizerStep): void {
    for (const part of this.parts) part.step(gradients, options)
  }

  stateDict(): Map<string, tf.Tensor> {
    return new Map(this.parts.flatMap(part => [...part.stateDict()]))
  }

  /** Throws HEED_STATE_DICT_MISMATCH. */
  loadStateDict(state: ReadonlyMap<string, tf.Tensor>, stepCount: number): void {
    const left = new Map(state)
    for (const [index, part] of this.parts.entries()) {
      const names = [...part.stateDict().keys()].filter(name => left.has(name))
      const isLast = index === this.parts.length - 1 // it refuses what is nobody's
      const own = isLast ? new Map(left) : new Map(names.map(name => [name, left.get(name)!]))
      part.loadStateDict(own, stepCount)
      for (const name of names) left.delete(name)
    }
  }

  dispose(): void {
    for (const part of this.parts) part.dispose()
  }
}
