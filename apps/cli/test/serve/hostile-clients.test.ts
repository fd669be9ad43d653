import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { RunningServer, stories } from './running-server.ts'

const megabyte = 2 ** 20
const line = 'POST /v1/completions HTTP/1.1\r\nHost: x\r\n'

let server: RunningServer
/** The answers to a client with slow headers and one with a slow body: they take their time while the other tests run. */
let slowHeaders: Promise<string>
let slowBody: Promise<string>
beforeAll(async () => {
  server = await RunningServer.start([stories], ['--quiet'])
  const headers = Array.from({ length: 60 }, (_, i) => `X-${i}: slow\r\n`)
  slowHeaders = sendSlowly([line, ...headers])
  const head = `${line}Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n`
  slowBody = sendSlowly([head, ...' '.repeat(100)])
})
afterAll(() => server.stop())

/** One of the server's metrics. */
async function measure(name: string): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text()
  return Number(new RegExp(`^${name} (\\S+)`, 'm').exec(text)![1])
}
const residentMegabytes = async (): Promise<number> => (await measure('process_resident_memory_bytes')) / megabyte

function open(): Socket {
  const { hostname, port } = new URL(server.url)
  return connect(Number(port), hostname).on('error', () => {}) // the server may close it at any time
}

/** Sends the parts, one each half second, and gives the answer once the server has closed. */
async function sendSlowly(parts: Iterable<string>): Promise<string> {
  const socket = open().setEncoding('utf8')
  let answer = ''
  socket.on('data', text => {
    answer += text
  })
  const isClosed = new Promise<void>(resolve => void socket.on('close', () => resolve()))
  for (const part of parts) {
    if (socket.destroyed) break
    socket.write(part)
    await sleep(500)
  }
  await isClosed
  return answer
}

test('a body of 100 MB is refused, of a stated length at once, and is not kept', async () => {
  const stated = `${line}Content-Type: application/json\r\nContent-Length: ${100 * megabyte}\r\nConnection: close\r\n\r\n`
  expect(await sendSlowly([stated])).toMatch(/^HTTP\/1\.1 413 /)

  const before = await residentMegabytes()
  const chunk = new Uint8Array(megabyte).fill(32)
  let sent = 0
  const body = new ReadableStream({
    pull(controller) {
      if (sent++ < 100) controller.enqueue(chunk)
      else controller.close()
    },
  })
  const status = await fetch(`${server.url}/v1/completions`, {
    method: 'POST',
    body,
    duplex: 'half',
    headers: { 'content-type': 'application/json' },
  } as RequestInit).then(
    response => response.status,
    () => 'closed', // while it was still sending
  )
  expect([413, 'closed']).toContain(status)
  expect((await residentMegabytes()) - before).toBeLessThan(64)
})

test('ten thousand idle connections hurt no answer under way, and are forgotten', async () => {
  const before = { megabytes: await residentMegabytes(), files: await measure('process_open_fds') }
  const body = { model: 'stories260K', prompt: 'Once', max_tokens: 500, logit_bias: { 1: -100, 2: -100 }, stream: true }
  const stream = await fetch(`${server.url}/v1/completions`, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json' },
  })
  const sockets = Array.from({ length: 10_000 }, open)
  expect(await stream.text()).toMatch(/"finish_reason":"length"[\s\S]*data: \[DONE\]\n\n$/)
  await sleep(10_000) // as long as the server waits for headers; it lets nobody new in meanwhile
  await vi.waitFor(async () => expect(await measure('process_open_fds')).toBeLessThan(before.files + 10), {
    timeout: 20_000,
    interval: 500,
  })
  for (const socket of sockets) socket.destroy()
  expect((await fetch(`${server.url}/health`)).status).toBe(200)
  expect((await residentMegabytes()) - before.megabytes).toBeLessThan(128)
})

test('clients that take their time are cut off: with their headers after ten seconds, with their body after thirty', async () => {
  expect(await slowHeaders).toMatch(/^HTTP\/1\.1 408 /)
  expect(await slowBody).toMatch(/^HTTP\/1\.1 408 /)
})
