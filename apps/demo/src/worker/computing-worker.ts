/** The script of every worker that computes: one for each page, so that the packages are fetched and kept once. */
import { expose } from 'comlink'
import './errors.ts'
import { inside } from './inside-worker.ts'
import { running } from './running-worker.ts'
import { training } from './training-worker.ts'

const workers = { inside, running, training }

export type WorkerName = keyof typeof workers

expose(workers[self.name.split('?')[0] as WorkerName])
