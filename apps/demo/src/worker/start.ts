import { type Remote, wrap } from 'comlink'
import './errors.ts'
import type { WorkerName } from './computing-worker.ts'
import type { InsideWorker } from './inside-worker.ts'
import type { RunningWorker } from './running-worker.ts'
import type { TrainingWorker } from './training-worker.ts'

/** Starts a worker when it is first asked for; it goes on when another page of the site is shown. */
function startOnce<Api>(worker: WorkerName): () => Remote<Api> {
  let started: Remote<Api> | undefined
  // The page's query goes along with the name, where `startBackend` reads it.
  const start = (): Remote<Api> =>
    wrap<Api>(
      new Worker(new URL('./computing-worker.ts', import.meta.url), {
        type: 'module',
        name: `${worker}${location.search}`,
      }),
    )
  return () => {
    started ??= start()
    return started
  }
}

/** The worker that trains. */
export const trainingWorker = startOnce<TrainingWorker>('training')

/** The worker that loads and runs models. */
export const runningWorker = startOnce<RunningWorker>('running')

/** The worker that looks into models. */
export const insideWorker = startOnce<InsideWorker>('inside')
