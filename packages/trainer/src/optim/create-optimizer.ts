import type { TrainingArguments } from '../arguments.ts'
import { AdamW } from './adamw.ts'
import type { NamedParameter, Optimizer } from './optimizer.ts'
import { Sgd } from './sgd.ts'

/** The optimizer that `optim` names. */
export function createOptimizer(args: TrainingArguments, parameters: NamedParameter[]): Optimizer {
  const { adamBeta1: beta1, adamBeta2: beta2, adamEpsilon: eps, momentum, weightDecay } = args
  return args.optim === 'sgd'
    ? new Sgd(parameters, { momentum, weightDecay })
    : new AdamW(parameters, { beta1, beta2, eps, weightDecay })
}
