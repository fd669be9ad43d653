import { Worker } from 'node:worker_threads'
import { RequestError } from '../request-error.ts'
import type {
  Command,
  EmbeddingRequest,
  Embeddings,
  GenerationEvent,
  GenerationRequest,
  InferenceSettings,
  JobError,
  Report,
} from './protocol.ts'

export interface InferenceOptions extends InferenceSettings {
  /** Requests that may wait beside those under way. */
  maxQueue: number
}

interface Job {
  take(report: Report): void
}

/** The thread that computes, seen from the one that answers HTTP. */
export class Inference {
  readonly modelNames: readonly string[]
  readonly #jobs = new Map<number, Job>()
  #lastJob = 0
  #fault: Error | undefined
  /** Settles when the thread is over: with an error where nobody closed it. */
  readonly ended: Promise<Error | undefined>

  private constructor(
    private readonly worker: Worker,
    private readonly options: InferenceOptions,
    /** What computes: native, wasm, ... */
    readonly backend: string,
  ) {
    this.modelNames = options.models.map(({ name }) => name)
    worker.on('message', (report: Report) => {
      if ('job' in report) this.#jobs.get(report.job)?.take(report)
    })
    this.ended = new Promise(resolve => {
      worker.on('error', error => this.#fail(error))
      worker.on('exit', () => {
        this.#fail(new Error('the inference thread ended'))
        resolve(this.#isClosed ? undefined : this.#fault)
      })
    })
  }

  #isClosed = false

  /** Loads the models. Throws what loading throws. */
  static async start(options: InferenceOptions): Promise<Inference> {
    const { models, dtype, cacheDtype, contextLength, maxSequences, chatTemplate } = options
    const workerData: InferenceSettings = { models, dtype, cacheDtype, contextLength, maxSequences, chatTemplate }
    const worker = new Worker(new URL('./inference-worker.js', import.meta.url), { workerData })
    const backend = await new Promise<string>((resolve, reject) => {
      worker.once('error', reject)
      worker.once('message', (report: Report) => {
        worker.off('error', reject)
        if (report.type === 'ready') resolve(report.backend)
        else if (report.type === 'failed') reject(Object.assign(new Error(report.error.message), report.error))
      })
    })
    return new Inference(worker, options, backend)
  }

  /** Requests under way, and those waiting for one of them to end. */
  get load(): { live: number; waiting: number } {
    const live = Math.min(this.#jobs.size, this.options.maxSequences)
    return { live, waiting: this.#jobs.size - live }
  }

  get isHealthy(): boolean {
    return this.#fault === undefined
  }

  /** Throws RequestError where there are too many requests. `count` is how many jobs are to come. */
  checkRoom(count = 1): void {
    if (this.#fault) throw new RequestError(503, 'the server is out of order. Try again later.')
    const { maxSequences, maxQueue } = this.options
    if (this.#jobs.size + count <= maxSequences + maxQueue) return
    throw new RequestError(
      429,
      `${this.#jobs.size} requests are under way or waiting, expected at most ${maxSequences + maxQueue}. Try again later.`,
    )
  }

  /** What a model writes. The thread rests when its reader is behind. Leaving the loop, or the signal, ends it. */
  async *generate(request: GenerationRequest, signal: AbortSignal): AsyncGenerator<GenerationEvent, void, undefined> {
    const { job, reports } = this.#begin(signal)
    try {
      this.#send({ type: 'generate', job, request })
      let unsaid = 0
      for await (const report of reports) {
        if (report.type === 'done') return
        if (report.type !== 'event') continue
        yield report.event
        unsaid += 1
        if (unsaid < 16) continue
        this.#send({ type: 'read', job, count: unsaid })
        unsaid = 0
      }
    } finally {
      this.#end(job)
    }
  }

  async embed(request: EmbeddingRequest, signal: AbortSignal): Promise<Embeddings> {
    const { job, reports } = this.#begin(signal)
    try {
      this.#send({ type: 'embed', job, request })
      for await (const report of reports) if (report.type === 'embeddings') return report.embeddings
      throw new RequestError(500, 'the server failed to answer.')
    } finally {
      this.#end(job)
    }
  }

  /** Ends what is under way and the thread. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#send({ type: 'close' })
    await this.ended
  }

  #begin(signal: AbortSignal): { job: number; reports: AsyncGenerator<Report, void, undefined> } {
    this.#lastJob += 1
    const job = this.#lastJob
    const inbox = new Inbox(signal)
    this.#jobs.set(job, inbox)
    return { job, reports: inbox.reports() }
  }

  #end(job: number): void {
    this.#jobs.delete(job)
    this.#send({ type: 'cancel', job })
  }

  #send(command: Command): void {
    this.worker.postMessage(command)
  }

  #fail(error: Error): void {
    this.#fault ??= error
    for (const [job, entry] of this.#jobs) entry.take({ type: 'error', job, error: { message: error.message } })
  }
}

/** The reports of one job, in the order they came. */
class Inbox implements Job {
  readonly #reports: Report[] = []
  #onNews: (() => void) | undefined

  constructor(private readonly signal: AbortSignal) {}

  take(report: Report): void {
    this.#reports.push(report)
    this.#onNews?.()
  }

  /** Throws RequestError for a job that failed, and the signal's reason. */
  async *reports(): AsyncGenerator<Report, void, undefined> {
    const wake = (): void => this.#onNews?.()
    this.signal.addEventListener('abort', wake)
    try {
      for (;;) {
        this.signal.throwIfAborted()
        const report = this.#reports.shift()
        if (report?.type === 'error') throw asError(report.error)
        if (report) yield report
        else {
          await new Promise<void>(resolve => {
            this.#onNews = resolve
          })
        }
      }
    } finally {
      this.signal.removeEventListener('abort', wake)
    }
  }
}

function asError({ message, status, code, stack }: JobError): Error {
  if (status !== undefined) return new RequestError(status, message, { code })
  const error = new Error(message)
  if (stack !== undefined) error.stack = stack
  return error
}
