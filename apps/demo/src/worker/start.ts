import { type Remote, wrap } from 'comlink'
import './errors.ts'
import type { InsideWorker } from './inside-worker.ts'
import type { RunningWorker } from './running-worker.ts'
import type { TrainingWorker } from './training-worker.ts'

// The page's query goes to the worker as its name, where `startBackend` reads it.
const name = location.search

let training: Remote<TrainingWorker> | undefined

/** The worker that trains; it goes on when another page of the site is shown. */
export function trainingWorker(): Remote<TrainingWorker> {
  training ??= wrap<TrainingWorker>(
    new Worker(new URL('./training-worker.ts', import.meta.url), { type: 'module', name }),
  )
  return training
}

let running: Remote<RunningWorker> | undefined

/** The worker that loads and runs models. */
export function runningWorker(): Remote<RunningWorker> {
  running ??= wrap<RunningWorker>(new Worker(new URL('./running-worker.ts', import.meta.url), { type: 'module', name }))
  return running
}

let inside: Remote<InsideWorker> | undefined

/** The worker that looks into models. */
export function insideWorker(): Remote<InsideWorker> {
  inside ??= wrap<InsideWorker>(new Worker(new URL('./inside-worker.ts', import.meta.url), { type: 'module', name }))
  return inside
}
