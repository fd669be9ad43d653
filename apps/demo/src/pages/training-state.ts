import { proxy } from 'comlink'
import { useEffect, useState } from 'preact/hooks'
import type { Recipe } from '../worker/run-store.ts'
import { trainingWorker } from '../worker/start.ts'
import type { Sample, TrainingEvent } from '../worker/training-worker.ts'

export type Phase = 'idle' | 'preparing' | 'running' | 'pausing' | 'paused' | 'done'

/** What the training page shows; it outlives the page, as the run does. */
export interface TrainingState {
  phase: Phase
  recipe: Recipe | undefined
  step: number
  maxSteps: number
  backend: { backend: string; threads: number } | undefined
  numParameters: number | undefined
  tokensPerSecond: number
  secondsLeft: number | undefined
  logs: ReadonlyArray<Record<string, number>>
  samples: readonly Sample[]
  error: unknown
}

const initial: TrainingState = {
  phase: 'idle',
  recipe: undefined,
  step: 0,
  maxSteps: 0,
  backend: undefined,
  numParameters: undefined,
  tokensPerSecond: 0,
  secondsLeft: undefined,
  logs: [],
  samples: [],
  error: undefined,
}

let current = initial

/** What the form holds, which outlives it too. */
export const draft: { recipe: Recipe; corpus: string } = {
  recipe: {
    architecture: 'llama',
    size: 'tiny',
    steps: 300,
    learningRate: 0.003,
    batchSize: 8,
    blockSize: 64,
    vocabSize: 512,
  },
  corpus: '',
}

const listeners = new Set<(state: TrainingState) => void>()

function change(changes: Partial<TrainingState>): void {
  current = { ...current, ...changes }
  for (const listener of listeners) listener(current)
}

/** The state, kept up to date while a component shows it. */
export function useTraining(): TrainingState {
  const [state, setState] = useState(current)
  useEffect(() => {
    listeners.add(setState)
    setState(current)
    return () => void listeners.delete(setState)
  }, [])
  return state
}

const follow = (): ((event: TrainingEvent) => void) =>
  proxy((event: TrainingEvent) => {
    if (event.type === 'backend') change({ backend: event.backend })
    else if (event.type === 'model') change({ numParameters: event.numParameters, phase: 'running' })
    else if (event.type === 'history') change({ logs: event.logs, samples: event.samples })
    else if (event.type === 'step') {
      const { step, maxSteps, tokensPerSecond, secondsLeft } = event
      change({ step, maxSteps, tokensPerSecond, secondsLeft })
    } else if (event.type === 'ended') change({ phase: event.isDone ? 'done' : 'paused' })
  })

async function attempt(work: () => Promise<void>): Promise<void> {
  change({ error: undefined })
  try {
    await work()
  } catch (error) {
    change({ error, phase: current.step === 0 ? 'idle' : 'paused' })
  }
}

let isSought = false

/** Looks once for the run that a reload interrupted. */
export async function findRun(): Promise<void> {
  if (isSought) return
  isSought = true
  await attempt(async () => {
    const found = await trainingWorker().found()
    if (!found || current.phase !== 'idle') return
    const { isDone, ...run } = found
    change({ ...run, maxSteps: run.recipe.steps, phase: isDone ? 'done' : 'paused' })
  })
}

export function startRun(recipe: Recipe, text: string): Promise<void> {
  change({ ...initial, recipe, maxSteps: recipe.steps, phase: 'preparing' })
  return attempt(() => trainingWorker().start(recipe, text, follow()))
}

export function resumeRun(): Promise<void> {
  change({ phase: 'preparing' })
  return attempt(() => trainingWorker().resume(follow()))
}

export async function pauseRun(): Promise<void> {
  change({ phase: 'pausing' })
  await trainingWorker().pause()
}

export async function discardRun(): Promise<void> {
  await attempt(async () => {
    await trainingWorker().discard()
    change(initial)
  })
}
