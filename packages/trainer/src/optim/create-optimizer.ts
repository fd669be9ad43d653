import type { TrainingArguments } from '../arguments.ts'
import { Adafactor } from './adafactor.ts'
import { AdamW } from './adamw.ts'
import { CombinedOptimizer } from './combined-optimizer.ts'
import { Lion } from './lion.ts'
import { Muon, suitsMuon } from './muon.ts'
import type { NamedParameter, Optimizer } from './optimizer.ts'
import { Sgd } from './sgd.ts'

/** The optimizer that `optim` names. */
export function createOptimizer(args: TrainingArguments, parameters: NamedParameter[]): Optimizer {
  const { adamBeta1: beta1, adamBeta2: beta2, adamEpsilon: eps, momentum, weightDecay } = args
  const adamW = (some: NamedParameter[]): Optimizer => new AdamW(some, { beta1, beta2, eps, weightDecay })
  switch (args.optim) {
    case 'adamw':
      return adamW(parameters)
    case 'sgd':
      return new Sgd(parameters, { momentum, weightDecay })
    case 'lion':
      return new Lion(parameters, { beta1, beta2, weightDecay })
    case 'adafactor':
      return new Adafactor(parameters, { weightDecay })
    case 'muon': {
      const matrices = parameters.filter(([name, value]) => suitsMuon(name, value))
      const others = parameters.filter(([name, value]) => !suitsMuon(name, value))
      return new CombinedOptimizer([new Muon(matrices, { weightDecay }), adamW(others)])
    }
  }
}
