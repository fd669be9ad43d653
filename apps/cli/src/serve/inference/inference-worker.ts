/** The thread that computes: models, their schedulers, and texts in and out of tokens. */
import { parentPort, workerData } from 'node:worker_threads'
import { init, isHeedError } from '@heed/tensor-backend'
import { RequestError } from '../request-error.ts'
import { type Command, type InferenceSettings, type JobError, READ_AHEAD, type Report } from './protocol.ts'
import { loadServedModel, type ServedModel } from './served-model.ts'

const port = parentPort!
const settings = workerData as InferenceSettings
const models = new Map<string, ServedModel>()

/** A job under way: its reader, and how far that is behind. */
class Job {
  readonly stop = new AbortController()
  #unread = 0
  #onRead: (() => void) | undefined

  read(count: number): void {
    this.#unread -= count
    if (this.#unread < READ_AHEAD) this.#onRead?.()
  }

  /** Waits while the reader is too far behind, or until it is gone. */
  async room(): Promise<void> {
    this.#unread += 1
    if (this.#unread < READ_AHEAD || this.stop.signal.aborted) return
    await new Promise<void>(resolve => {
      this.#onRead = resolve
    })
    this.#onRead = undefined
  }

  cancel(): void {
    this.stop.abort()
    this.#onRead?.()
  }
}

const jobs = new Map<number, Job>()
const report = (message: Report): void => port.postMessage(message)

function describeError(error: unknown): JobError {
  if (error instanceof RequestError) {
    const { status, message, details } = error
    return { message, status, ...(details.code !== undefined && { code: details.code }) }
  }
  const isMistake = isHeedError(error) && ['HEED_ARGUMENT_INVALID', 'HEED_ID_OUT_OF_RANGE'].includes(error.code)
  const message = error instanceof Error ? error.message : String(error)
  const code = isHeedError(error) ? { code: error.code } : {}
  if (isMistake) return { message, status: 400, ...code }
  return { message, ...code, ...(error instanceof Error && error.stack !== undefined && { stack: error.stack }) }
}

async function run(job: number, work: (job: Job) => Promise<void>): Promise<void> {
  const entry = new Job()
  jobs.set(job, entry)
  try {
    await work(entry)
    report({ type: 'done', job })
  } catch (error) {
    report({ type: 'error', job, error: describeError(error) })
  } finally {
    jobs.delete(job)
  }
}

port.on('message', async (command: Command) => {
  switch (command.type) {
    case 'generate':
      return run(command.job, async job => {
        for await (const event of models.get(command.request.model)!.generate(command.request, job.stop.signal)) {
          report({ type: 'event', job: command.job, event })
          await job.room()
        }
      })
    case 'embed':
      return run(command.job, async ({ stop }) => {
        const embeddings = await models.get(command.request.model)!.embed(command.request, stop.signal)
        report({ type: 'embeddings', job: command.job, embeddings })
      })
    case 'read':
      return jobs.get(command.job)?.read(command.count)
    case 'cancel':
      return jobs.get(command.job)?.cancel()
    case 'close':
      for (const job of jobs.values()) job.cancel()
      for (const model of models.values()) await model.dispose()
      port.close()
  }
})

try {
  const { backend } = await init()
  for (const source of settings.models) models.set(source.name, await loadServedModel(source, settings))
  report({ type: 'ready', backend })
} catch (error) {
  report({ type: 'failed', error: describeError(error) })
  port.close()
}
