import { createHash, timingSafeEqual } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { type Context, Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { cors } from 'hono/cors'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import type { Inference } from './inference/inference.ts'
import { Metrics } from './metrics.ts'
import { chatCompletions } from './openai/chat-completions.ts'
import { completions } from './openai/completions.ts'
import { embeddings } from './openai/embeddings.ts'
import { eventStream } from './openai/event-stream.ts'
import type { RequestContext } from './openai/request-context.ts'
import { RequestFields } from './openai/request-fields.ts'
import { RequestError } from './request-error.ts'

export interface AppSettings {
  apiKey?: string | undefined
  /** Pages of these origins may call; none by default. */
  corsOrigins: readonly string[]
  maxBodyBytes: number
  /** Seconds that an answer may take. */
  timeout: number
  /** Told of each answer, and of faults of the server. */
  log(line: string): void
}

type Answer = { whole: object } | { stream: AsyncGenerator<object, void, undefined> }
type Handler = (fields: RequestFields, context: RequestContext) => Promise<Answer>

/** The server's answers: OpenAI's API under /v1, /health and /metrics. */
export class App {
  readonly hono: Hono = new Hono()
  readonly #metrics: Metrics
  isDraining = false
  /** What ends each answer under way. */
  readonly #underWay = new Set<AbortController>()
  #onIdle: (() => void) | undefined

  constructor(
    private readonly inference: Inference,
    private readonly settings: AppSettings,
  ) {
    this.#metrics = new Metrics(() => inference.load)
    this.#route()
  }

  /** Settles when no answer is under way. */
  async idle(): Promise<void> {
    if (this.#underWay.size === 0) return
    await new Promise<void>(resolve => {
      this.#onIdle = resolve
    })
  }

  /** Ends all answers under way. */
  giveUp(reason: RequestError): void {
    for (const stop of this.#underWay) stop.abort(reason)
  }

  #route(): void {
    const { hono, inference } = this
    const { corsOrigins, maxBodyBytes } = this.settings
    hono.onError((error, c) => this.#failure(error, c))
    hono.notFound(c =>
      this.#failure(new RequestError(404, `${c.req.method} ${c.req.path} is not served. See /v1/models.`), c),
    )
    if (corsOrigins.length > 0) hono.use('/v1/*', cors({ origin: [...corsOrigins] }))
    hono.get('/health', c => {
      const status = this.isDraining ? 'stopping' : inference.isHealthy ? 'ok' : 'failed'
      return c.json({ status, ...inference.load }, status === 'ok' ? 200 : 503)
    })
    hono.use(async (c, next) => {
      this.#checkKey(c.req.header('authorization'))
      await next()
    })
    hono.get('/metrics', async c =>
      c.body(await this.#metrics.text(), 200, { 'content-type': this.#metrics.contentType }),
    )
    hono.get('/v1/models', c => c.json({ object: 'list', data: inference.modelNames.map(describeModel) }))
    hono.get('/v1/models/:name{.+}', c => c.json(describeModel(this.#knownModel(c.req.param('name')))))
    const tooLarge = (): never => {
      throw new RequestError(413, `the body is larger than ${maxBodyBytes} bytes. Send less.`)
    }
    hono.use('/v1/*', bodyLimit({ maxSize: maxBodyBytes, onError: tooLarge }))
    this.#post('/v1/chat/completions', (fields, context) => chatCompletions(inference, fields, context))
    this.#post('/v1/completions', (fields, context) => completions(inference, fields, context))
    this.#post('/v1/embeddings', async (fields, context) => ({ whole: await embeddings(inference, fields, context) }))
  }

  #post(route: string, handle: Handler): void {
    this.hono.post(route, async c => {
      const begin = performance.now()
      let status = 200
      const stop = new AbortController()
      setMaxListeners(0, stop.signal) // each of several choices listens
      const client = c.req.raw.signal
      const onLeave = (): void => stop.abort(new RequestError(499, 'the client left.'))
      client.addEventListener('abort', onLeave)
      const timer = setTimeout(
        () => stop.abort(new RequestError(504, `the answer took longer than ${this.settings.timeout} s.`)),
        1000 * this.settings.timeout,
      )
      this.#underWay.add(stop)
      let isOver = false
      const over = (error?: unknown): void => {
        if (isOver) return
        isOver = true
        clearTimeout(timer)
        client.removeEventListener('abort', onLeave)
        stop.abort(new RequestError(500, 'the answer is over.'))
        if (error !== undefined) status = error instanceof RequestError ? error.status : 500
        const seconds = (performance.now() - begin) / 1000
        this.#metrics.answered(route, status, seconds)
        this.settings.log(`${c.req.method} ${route} ${status} ${seconds.toFixed(2)} s`)
        this.#underWay.delete(stop)
        if (this.#underWay.size === 0) this.#onIdle?.()
      }
      try {
        if (this.isDraining) throw new RequestError(503, 'the server is stopping. Ask another one.')
        const answer = await handle(await this.#fields(c), this.#context(stop.signal, begin))
        if ('stream' in answer) return eventStream(answer.stream, over)
        over()
        return c.json(answer.whole)
      } catch (error) {
        over(error)
        throw error
      }
    })
  }

  #context(signal: AbortSignal, begin: number): RequestContext {
    let hasFirst = false
    return {
      signal,
      onTokens: (kind, count) => {
        if (kind !== 'first') return this.#metrics.tokens(kind, count)
        if (!hasFirst) this.#metrics.firstToken((performance.now() - begin) / 1000)
        hasFirst = true
      },
    }
  }

  /** The fields of a JSON body that names a known model. */
  async #fields(c: Context): Promise<RequestFields> {
    const type = c.req.header('content-type') ?? ''
    // Pages of other sites may send other types without asking; JSON they may not.
    if (!/^application\/json\b/i.test(type)) {
      throw new RequestError(415, `content-type is ${JSON.stringify(type)}, expected application/json. Set it.`)
    }
    let body: unknown
    try {
      body = JSON.parse(await c.req.text())
    } catch (error) {
      if (error instanceof RequestError) throw error
      throw new RequestError(400, 'the body is no valid JSON, expected an object. Check its commas and quotes.')
    }
    const fields = RequestFields.of(body, '')
    this.#knownModel(fields.required('model', fields.text('model')))
    return fields
  }

  #knownModel(name: string): string {
    const { modelNames } = this.inference
    if (modelNames.includes(name)) return name
    const known = modelNames.map(known => JSON.stringify(known)).join(', ')
    throw new RequestError(404, `model is ${JSON.stringify(name)}, expected one of ${known}. See /v1/models.`, {
      param: 'model',
      code: 'model_not_found',
    })
  }

  #checkKey(header: string | undefined): void {
    const { apiKey } = this.settings
    if (apiKey === undefined) return
    const given = /^Bearer (.+)$/i.exec(header ?? '')?.[1] ?? ''
    const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
    if (timingSafeEqual(digest(given), digest(apiKey))) return
    throw new RequestError(
      401,
      'the API key is missing or wrong, expected Authorization: Bearer KEY. Ask who runs the server.',
      {
        code: 'invalid_api_key',
      },
    )
  }

  #failure(error: unknown, c: Context): Response {
    const isKnown = error instanceof RequestError
    if (!isKnown) this.settings.log(`error: ${error instanceof Error ? error.stack : error}`)
    const shown = isKnown ? error : new RequestError(500, 'the server failed to answer.')
    return c.json(shown, shown.status as ContentfulStatusCode, {
      ...(shown.status === 429 && { 'retry-after': '1' }),
      ...(shown.status === 401 && { 'www-authenticate': 'Bearer' }),
    })
  }
}

const describeModel = (id: string): object => ({ id, object: 'model', created: 0, owned_by: 'heed' })
