import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RunningServer, stories } from './running-server.ts'

/** A text as long as the context: the tokens that end texts are ruled out. */
const long = { model: 'stories260K', prompt: 'Once', max_tokens: 500, logit_bias: { 1: -100, 2: -100 }, stream: true }
const key = { authorization: 'Bearer secret' }

let server: RunningServer
beforeAll(async () => {
  const limits = [
    '--max-sequences',
    '2',
    '--max-queue',
    '1',
    '--max-body',
    '2000',
    '--api-key',
    'secret',
    '--grace',
    '20',
  ]
  server = await RunningServer.start([stories], limits)
})
afterAll(() => server.stop())

const post = (body: BodyInit, headers: Record<string, string> = key) => server.post('/v1/completions', body, headers)

function begin(signal?: AbortSignal): Promise<Response> {
  return fetch(`${server.url}/v1/completions`, {
    method: 'POST',
    body: JSON.stringify(long),
    headers: { 'content-type': 'application/json', ...key },
    ...(signal && { signal }),
  })
}

/** Sends bytes as they are, and gives what comes back until the server closes or `until` has come. */
function raw(bytes: string, until = /$^/): Promise<string> {
  const { hostname, port } = new URL(server.url)
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect(Number(port), hostname, () => socket.write(bytes))
    socket.setEncoding('utf8').on('data', chunk => {
      answer += chunk
      if (until.test(answer)) socket.destroy()
    })
    socket.on('close', () => resolve(answer))
    socket.on('error', error => (answer === '' ? reject(error) : resolve(answer)))
  })
}

describe('bad input gets its status', () => {
  test('a body that is no JSON, no object, too large, or of another type', async () => {
    expect(await post('{"model": ')).toMatchObject([400, { error: { type: 'invalid_request_error' } }])
    expect(await post('[1]')).toMatchObject([
      400,
      { error: { message: 'the body is [1], expected a JSON object. Change it.' } },
    ])
    const large = JSON.stringify({ model: 'stories260K', prompt: 'x'.repeat(3000) })
    expect((await post(large))[0]).toBe(413)
    const chunked = new Blob([large]).stream()
    const { status } = await fetch(`${server.url}/v1/completions`, {
      method: 'POST',
      body: chunked,
      duplex: 'half',
      headers: { 'content-type': 'application/json', ...key },
    } as RequestInit)
    expect(status).toBe(413)
    expect((await post('{}', { ...key, 'content-type': 'text/plain' }))[0]).toBe(415)
  })

  test('a missing or wrong key, but /health answers all', async () => {
    expect((await post('{}', {}))[0]).toBe(401)
    expect(await post('{}', { authorization: 'Bearer secre' })).toMatchObject([
      401,
      { error: { code: 'invalid_api_key' } },
    ])
    expect((await fetch(`${server.url}/metrics`)).status).toBe(401)
    expect((await fetch(`${server.url}/health`)).status).toBe(200)
  })

  test('paths that lead elsewhere, floods of headers, and what is no HTTP', async () => {
    const authorized = `Host: x\r\nAuthorization: Bearer secret\r\nConnection: close\r\n\r\n`
    for (const path of [
      '/v1/../../etc/passwd',
      '/v1/models/..%2f..%2fetc%2fpasswd',
      '//etc/passwd',
      '/v1/models/%ff',
    ]) {
      expect(await raw(`GET ${path} HTTP/1.1\r\n${authorized}`)).toMatch(/^HTTP\/1\.1 40[04] /)
    }
    const flood = Array.from({ length: 3000 }, (_, i) => `X-${i}: ${i}`).join('\r\n')
    expect(await raw(`GET /health HTTP/1.1\r\nHost: x\r\n${flood}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 431 /)
    expect(await raw('hello\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /)
    expect((await fetch(`${server.url}/health`)).status).toBe(200)
  })

  test('no page may call unless its origin is let in', async () => {
    const response = await fetch(`${server.url}/health`, { headers: { origin: 'http://evil.example' } })
    expect(response.headers.get('access-control-allow-origin')).toBe(null)
  })
})

describe('clients', () => {
  test('beyond the queue get 429, those within it are served', async () => {
    const streams = await Promise.all([begin(), begin(), begin()])
    expect(await server.load()).toEqual({ live: 2, waiting: 1 })
    const refused = await begin()
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '1'])
    await refused.body!.cancel()
    const texts = await Promise.all(streams.map(stream => stream.text()))
    for (const text of texts) expect(text).toMatch(/"finish_reason":"length"[\s\S]*data: \[DONE\]\n\n$/)
  })

  test('who leave end their texts', async () => {
    const stop = new AbortController()
    const { body } = await begin(stop.signal)
    await body!.getReader().read()
    stop.abort()
    await server.idle()
    const whole = begin(AbortSignal.timeout(50)).catch(() => {})
    await whole
    await server.idle()
  })

  test('who read nothing slow nobody else', async () => {
    const body = JSON.stringify(long)
    const head = `POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer secret\r\nContent-Length: ${body.length}\r\n\r\n`
    const { hostname, port } = new URL(server.url)
    const socket = connect(Number(port), hostname, () => socket.write(head + body))
    socket.pause()
    const [status] = await post(JSON.stringify({ ...long, stream: false, max_tokens: 20 }))
    expect(status).toBe(200)
    socket.destroy()
    await server.idle()
  })
})

test('metrics tell requests, tokens and times', async () => {
  const text = await (await fetch(`${server.url}/metrics`, { headers: key })).text()
  expect(text).toMatch(/heed_requests_total\{route="\/v1\/completions",status="429"\} 1\n/)
  expect(text).toMatch(/heed_tokens_total\{kind="completion"\} \d{3,}\n/)
  expect(text).toMatch(/heed_first_token_seconds_count \d+\n/)
  expect(text).toMatch(/heed_sequences\{state="live"\} 0\n/)
})

test('SIGTERM lets answers under way end, takes no more, and ends with success', async () => {
  const stream = await begin()
  server.child.kill('SIGTERM')
  const text = await stream.text()
  expect(text).toMatch(/"finish_reason":"length"[\s\S]*data: \[DONE\]\n\n$/)
  expect(await server.exitCode).toBe(0)
  await expect(fetch(`${server.url}/health`)).rejects.toThrow()
})
