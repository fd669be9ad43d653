import { writeFileAtomic } from '@heed/tensor-backend'
import { onFirstProcess, type TrainerCallback, type TrainerEvent } from '../callbacks.ts'
import { reportPage } from './report-page.ts'

/** A text that the model wrote, for people to look at. */
export interface TextSample {
  prompt: string
  /** What the model made of it. */
  text: string
  /** What it was to make of it, where that is known. */
  expected?: string
}

/** Samples of one step. */
export interface StepSamples {
  step: number
  samples: TextSample[]
}

/** How a run stands. */
export type RunStatus = 'running' | 'finished' | 'stopped' | 'failed'

export interface RunReport {
  callback: TrainerCallback
  /** Writes why the run ended. */
  fail(error: unknown): Promise<void>
}

/** Logs come often: a page that was written less than so long ago stays as it is. */
const intervalMs = 10_000

/**
 * Keeps `report.html` in a run's folder: a page that needs nothing else, with the curves of the log, memory, texts that
 * `sampleTexts` gives at each evaluation and at the end, and the configuration.
 */
export function runReport(folder: string, sampleTexts?: () => Promise<TextSample[]>): RunReport {
  const history: StepSamples[] = []
  let lastEvent: TrainerEvent | undefined
  let writtenAt = Number.NEGATIVE_INFINITY

  const write = async (event: TrainerEvent, status: RunStatus, reason?: string): Promise<void> => {
    lastEvent = event
    const { args, state, model, progress } = event
    const page = reportPage({ args, state, model, progress, status, samples: history, ...(reason && { reason }) })
    await writeFileAtomic(`${folder}/report.html`, page)
    writtenAt = performance.now()
  }
  const sample = async ({ state }: TrainerEvent): Promise<void> => {
    const step = state.globalStep
    if (!sampleTexts || history.at(-1)?.step === step) return
    history.push({ step, samples: await sampleTexts() })
  }
  const callback = onFirstProcess({
    name: 'report',
    exportState: () => ({ samples: history }),
    loadState(state) {
      const { samples = [] } = (state ?? {}) as { samples?: StepSamples[] }
      history.splice(0, history.length, ...samples)
    },
    onTrainBegin: event => write(event, 'running'),
    async onLog(event) {
      if (performance.now() - writtenAt >= intervalMs) await write(event, 'running')
    },
    async onEvaluate(event) {
      await sample(event)
      await write(event, 'running')
    },
    onSave: event => write(event, 'running'),
    async onTrainEnd(event) {
      const { globalStep, maxSteps } = event.state
      const isFinished = globalStep >= maxSteps
      if (isFinished) {
        event.model.eval()
        await sample(event)
      }
      await write(event, isFinished ? 'finished' : 'stopped')
    },
  })
  return {
    callback,
    async fail(error) {
      const reason = error instanceof Error ? error.message : String(error)
      if (lastEvent?.state.isWorldProcessZero) await write(lastEvent, 'failed', reason)
    },
  }
}
