import { checkOptionNames, HeedError } from '@heed/tensor-backend'
import { bestMetricName, isGreaterBetter } from './best-model.ts'
import type { TrainerCallback } from './callbacks.ts'
import { checkNumber, namesOf } from './checks.ts'

export interface EarlyStoppingOptions {
  /** Evaluations in a row without getting better after which training stops. */
  earlyStoppingPatience?: number
  /** What counts as getting better: than the best so far, by more than this. */
  earlyStoppingThreshold?: number
}

const known = namesOf<EarlyStoppingOptions>({ earlyStoppingPatience: true, earlyStoppingThreshold: true })

/**
 * Stops when `metricForBestModel` no longer gets better than the best so far: HF's `EarlyStoppingCallback`. A NaN is never
 * better. Throws HEED_ARGUMENT_INVALID; `train` throws HEED_CONFIG_INVALID when `evalStrategy` is "no".
 */
export function earlyStopping(options: EarlyStoppingOptions = {}): TrainerCallback {
  checkOptionNames('earlyStopping', options, known)
  const { earlyStoppingPatience: patience = 1, earlyStoppingThreshold: threshold = 0 } = options
  checkNumber('earlyStopping', 'earlyStoppingPatience', patience, { min: 1, isInteger: true })
  checkNumber('earlyStopping', 'earlyStoppingThreshold', threshold, { min: 0 })
  let best: number | undefined
  let waited = 0
  return {
    name: 'EarlyStoppingCallback',
    exportState: () => ({ best, waited }),
    loadState(state) {
      const saved = state as { best?: number; waited?: number } | undefined
      best = saved?.best
      waited = saved?.waited ?? 0
    },
    onTrainBegin({ args, state }) {
      if (state.globalStep === 0) [best, waited] = [undefined, 0]
      if (args.evalStrategy !== 'no') return
      throw new HeedError(
        'HEED_CONFIG_INVALID',
        'TrainingArguments: evalStrategy is "no", expected steps or epoch since earlyStopping looks at evaluations. Set it, or leave earlyStopping out.',
      )
    },
    onEvaluate({ args, control, metrics }) {
      const value = metrics?.[bestMetricName(args)]
      if (value === undefined) return
      const start = isGreaterBetter(args) ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
      const gain = isGreaterBetter(args) ? value - (best ?? start) : (best ?? start) - value
      if (gain > 0) best = value
      waited = gain > threshold ? 0 : waited + 1
      if (waited >= patience) control.shouldTrainingStop = true
    },
  }
}
