import { HeedError } from '../errors.ts'
import { type ByteSource, checkRange, memorySource } from './byte-source.ts'

export interface UrlOptions {
  /** Sent with each request, for instance an authorization header. */
  readonly headers?: Readonly<Record<string, string>>
  /** In place of the global `fetch`. */
  readonly fetch?: typeof fetch
  readonly signal?: AbortSignal
}

async function request(url: string, range: string, options: UrlOptions): Promise<Response> {
  const { headers, fetch = globalThis.fetch, signal = null } = options
  let response: Response
  try {
    response = await fetch(url, { headers: { ...headers, range }, signal })
  } catch (cause) {
    if (signal?.aborted) throw new HeedError('HEED_ABORTED', `${url}: the download was cancelled.`, { cause })
    throw new HeedError('HEED_IO', `${url}: the server cannot be reached. Check the address and the network.`, {
      cause,
    })
  }
  const isPage = /^text\/html\b/.test(response.headers.get('content-type') ?? '')
  if (response.ok && !isPage) return response
  await response.body?.cancel()
  if (response.ok) {
    // single-page servers, Vite's too, send their page with status 200 for a file that is not there
    throw new HeedError(
      'HEED_FILE_NOT_FOUND',
      `${url}: the server sent a page (text/html), expected a file. Check the address.`,
    )
  }
  const code = response.status === 404 ? 'HEED_FILE_NOT_FOUND' : 'HEED_IO'
  throw new HeedError(code, `${url}: status is ${response.status} ${response.statusText}, expected 200 or 206.`)
}

async function body(url: string, response: Response): Promise<Uint8Array> {
  try {
    return new Uint8Array(await response.arrayBuffer())
  } catch (cause) {
    throw new HeedError('HEED_IO', `${url}: the connection broke while reading. Try again.`, { cause })
  }
}

/** Reads a URL by HTTP ranges (RFC 9110, section 14). Throws HEED_FILE_NOT_FOUND on 404 and where a page comes, HEED_IO, HEED_ABORTED. */
export async function openUrl(url: string, options: UrlOptions = {}): Promise<ByteSource> {
  const first = await request(url, 'bytes=0-0', options)
  const total = /^bytes 0-0\/(\d+)$/.exec(first.headers.get('content-range') ?? '')?.[1]
  // A server that knows no ranges sends the whole file at once; it is then kept in memory.
  if (first.status !== 206 || total === undefined) return memorySource(url, await body(url, first))
  await first.body?.cancel()
  const source = {
    name: url,
    byteLength: Number(total),
    async read(offset: number, length: number): Promise<Uint8Array> {
      checkRange(source, offset, length)
      if (length === 0) return new Uint8Array(0)
      const response = await request(url, `bytes=${offset}-${offset + length - 1}`, options)
      const range = response.headers.get('content-range')
      const expected = `bytes ${offset}-${offset + length - 1}/${total}`
      if (range !== expected) {
        await response.body?.cancel()
        throw new HeedError(
          'HEED_IO',
          `${url}: content-range is ${range}, expected ${expected}. The file changed meanwhile: open it again.`,
        )
      }
      const bytes = await body(url, response)
      checkLength(url, bytes, length)
      return bytes
    },
    async close(): Promise<void> {},
  }
  return source
}

function checkLength(url: string, bytes: Uint8Array, length: number): void {
  if (bytes.byteLength === length) return
  throw new HeedError('HEED_IO', `${url}: ${bytes.byteLength} bytes came, expected ${length}. Try again.`)
}
