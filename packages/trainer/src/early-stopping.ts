import { bestMetricName, isGreaterBetter } from './best-model.ts'
import type { TrainerCallback } from './callbacks.ts'
import { checkNumber } from './checks.ts'

export interface EarlyStoppingOptions {
  /** Evaluations in a row without getting better after which training stops. */
  earlyStoppingPatience?: number
  /** What counts as getting better: by more than this. */
  earlyStoppingThreshold?: number
}

/** Stops when `metricForBestModel` no longer gets better: HF's `EarlyStoppingCallback`. Throws HEED_ARGUMENT_INVALID. */
export function earlyStopping(options: EarlyStoppingOptions = {}): TrainerCallback {
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
    onEvaluate({ args, control, metrics }) {
      const value = metrics?.[bestMetricName(args)]
      if (value === undefined) return
      const gain = best === undefined ? Number.POSITIVE_INFINITY : isGreaterBetter(args) ? value - best : best - value
      if (gain > threshold) {
        best = value
        waited = 0
      } else if (++waited >= patience) control.shouldTrainingStop = true
    },
  }
}
