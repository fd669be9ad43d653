import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { HeedError } from '@heed/tensor-backend'
import { serve } from '@hono/node-server'
import { App, type AppSettings } from './app.ts'
import { Inference, type InferenceOptions } from './inference/inference.ts'
import { RequestError } from './request-error.ts'

export interface ServerSettings extends InferenceOptions, AppSettings {
  host: string
  port: number
  maxConnections: number
  /** Seconds that answers under way get to end when the server stops. */
  grace: number
}

/** Limits of Node's HTTP server, in milliseconds: how long a client may take for its headers, its body, and its next request. */
const limits = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 2_000,
}

/** A server that runs until `stop`. */
export class HeedServer {
  private constructor(
    private readonly server: Server,
    private readonly app: App,
    private readonly inference: Inference,
    private readonly settings: ServerSettings,
  ) {}

  /** Loads the models and listens. Throws what loading throws, and HEED_IO where the port is taken. */
  static async start(settings: ServerSettings): Promise<HeedServer> {
    const inference = await Inference.start(settings)
    const app = new App(inference, settings)
    try {
      const server = await listen(app, settings)
      return new HeedServer(server, app, inference, settings)
    } catch (error) {
      await inference.close()
      throw error
    }
  }

  get url(): string {
    const { address, port, family } = this.server.address() as AddressInfo
    return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`
  }

  /** What computes: native, wasm, ... */
  get backend(): string {
    return this.inference.backend
  }

  /** Settles when the thread that computes is over: with an error where nobody stopped it. */
  get ended(): Promise<Error | undefined> {
    return this.inference.ended
  }

  /** Takes no more requests, lets answers under way end, gives up those that take too long, and frees everything. */
  async stop(): Promise<void> {
    this.app.isDraining = true
    const isClosed = new Promise(resolve => this.server.close(resolve))
    this.server.closeIdleConnections()
    const timer = setTimeout(() => {
      this.app.giveUp(new RequestError(503, 'the server stopped before the answer was whole.'))
    }, 1000 * this.settings.grace)
    await this.app.idle()
    clearTimeout(timer)
    this.server.closeIdleConnections()
    const lastWords = setTimeout(() => this.server.closeAllConnections(), 1000)
    await isClosed
    clearTimeout(lastWords)
    await this.inference.close()
  }
}

function listen(app: App, { host, port, maxConnections }: ServerSettings): Promise<Server> {
  return new Promise((resolve, reject) => {
    const options = { fetch: app.hono.fetch, hostname: host, port, createServer, serverOptions: limits }
    const server = serve(options, () => resolve(server)) as Server
    server.maxConnections = maxConnections
    server.once('error', (cause: NodeJS.ErrnoException) =>
      reject(
        new HeedError(
          'HEED_IO',
          `heed serve: listening on ${host}:${port} failed: ${cause.code ?? cause.message}. Choose another --host or --port.`,
          { cause },
        ),
      ),
    )
  })
}
