import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** Seconds: from a short answer of a small model to a long one of a large model. */
const SECONDS = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300]

/** What Prometheus reads at /metrics. */
export class Metrics {
  readonly #registry = new Registry()
  readonly #requests = new Counter({
    name: 'heed_requests_total',
    help: 'Requests answered, by route and status.',
    labelNames: ['route', 'status'],
    registers: [this.#registry],
  })
  readonly #seconds = new Histogram({
    name: 'heed_request_seconds',
    help: 'From the request to the last byte of its answer.',
    labelNames: ['route'],
    buckets: SECONDS,
    registers: [this.#registry],
  })
  readonly #firstToken = new Histogram({
    name: 'heed_first_token_seconds',
    help: 'From the request to the first token of its answer.',
    buckets: SECONDS,
    registers: [this.#registry],
  })
  readonly #tokens = new Counter({
    name: 'heed_tokens_total',
    help: 'Tokens read of prompts and written.',
    labelNames: ['kind'],
    registers: [this.#registry],
  })

  constructor(load: () => { live: number; waiting: number }) {
    collectDefaultMetrics({ register: this.#registry })
    new Gauge({
      name: 'heed_sequences',
      help: 'Texts under way, and those that wait.',
      labelNames: ['state'],
      registers: [this.#registry],
      collect() {
        const { live, waiting } = load()
        this.set({ state: 'live' }, live)
        this.set({ state: 'waiting' }, waiting)
      },
    })
  }

  answered(route: string, status: number, seconds: number): void {
    this.#requests.inc({ route, status })
    this.#seconds.observe({ route }, seconds)
  }

  firstToken(seconds: number): void {
    this.#firstToken.observe(seconds)
  }

  tokens(kind: 'prompt' | 'completion', count: number): void {
    this.#tokens.inc({ kind }, count)
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  text(): Promise<string> {
    return this.#registry.metrics()
  }
}
