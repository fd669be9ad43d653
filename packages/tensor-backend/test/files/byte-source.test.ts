import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import * as inPages from '../../src/files/browser/file-system.ts'
import { memorySource } from '../../src/files/byte-source.ts'
import { openByteSource, readText } from '../../src/files/open-byte-source.ts'

const content = Uint8Array.from({ length: 1000 }, (_, i) => i % 251)
let folder: string
let path: string
let server: Server
let origin: string

const serve: Record<string, RequestListener> = {
  '/ranges': (request, response) => {
    const [start, end] = request.headers.range!.slice('bytes='.length).split('-').map(Number)
    response.writeHead(206, { 'content-range': `bytes ${start}-${end}/${content.length}` })
    response.end(content.subarray(start, end! + 1))
  },
  '/whole': (_, response) => response.end(content),
  '/changing': (request, response) => {
    const isFirst = request.headers.range === 'bytes=0-0'
    response.writeHead(206, { 'content-range': isFirst ? 'bytes 0-0/1000' : 'bytes 0-9/999' })
    response.end(content.subarray(0, isFirst ? 1 : 10))
  },
  '/short': (request, response) => {
    const isFirst = request.headers.range === 'bytes=0-0'
    response.writeHead(206, { 'content-range': isFirst ? 'bytes 0-0/1000' : 'bytes 0-9/1000' })
    response.end(content.subarray(0, 1))
  },
  '/broken': (request, response) => {
    const isFirst = request.headers.range === 'bytes=0-0'
    response.writeHead(206, {
      'content-range': isFirst ? 'bytes 0-0/1000' : 'bytes 0-9/1000',
      'content-length': isFirst ? 1 : 10,
    })
    response.write(content.subarray(0, 1), () => !isFirst && response.destroy())
    if (isFirst) response.end()
  },
  '/page': (_, response) => {
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' })
    response.end('<!doctype html>')
  },
  '/private': (request, response) => {
    response.statusCode = request.headers.authorization === 'Bearer t' ? 200 : 403
    response.end(content)
  },
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'heed-source-'))
  path = join(folder, 'file.bin')
  await writeFile(path, content)
  server = createServer((request, response) => {
    const handler = serve[request.url!]
    if (handler) handler(request, response)
    else response.writeHead(404).end()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(async () => {
  server.closeAllConnections()
  server.close()
  await rm(folder, { recursive: true })
})

const kinds = {
  path: () => path,
  'file URL': () => pathToFileURL(path),
  Buffer: () => Buffer.from(content),
  ArrayBuffer: () => content.slice().buffer,
  Blob: () => new Blob([content]),
  'opened source': () => memorySource('mine', content),
  'URL with ranges': () => `${origin}/ranges`,
  'URL without ranges': () => new URL(`${origin}/whole`),
}

test.each(Object.entries(kinds))('a %s is read by ranges into fresh memory', async (_, make) => {
  const source = await openByteSource(make())
  expect(source.byteLength).toBe(1000)
  const bytes = await source.read(251, 10)
  expect([...bytes]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  bytes.fill(99)
  expect([...(await source.read(251, 3))]).toEqual([0, 1, 2])
  expect(await source.read(1000, 0)).toHaveLength(0)
  await expect(source.read(990, 11)).rejects.toMatchObject({
    code: 'HEED_FILE_INVALID',
    message:
      `${source.name}: bytes 990 to 1001 are needed, expected them within its 1000 bytes. ` +
      'The file is truncated or damaged: copy or download it again.',
  })
  await source.close()
})

test('a missing file is not found', async () => {
  const missing = join(folder, 'missing')
  await expect(openByteSource(missing)).rejects.toMatchObject({
    code: 'HEED_FILE_NOT_FOUND',
    message: `${missing}: there is no such file or folder. Check the path.`,
  })
})

test('a folder cannot be read as a file', async () => {
  await expect(openByteSource(folder)).rejects.toMatchObject({
    code: 'HEED_IO',
    message: `${folder}: this is a folder, expected a file. Name a file in it.`,
  })
})

test('a file that shrinks while open is an error, not a short read', async () => {
  const shrinking = join(folder, 'shrinking')
  await writeFile(shrinking, content)
  const source = await openByteSource(shrinking)
  await truncate(shrinking, 500)
  await expect(source.read(0, 1000)).rejects.toMatchObject({
    code: 'HEED_IO',
    message: `${shrinking}: the file ended at byte 500, expected 1000. It shrank while open.`,
  })
  await source.close()
})

test('a closed file cannot be read', async () => {
  const source = await openByteSource(path)
  expect(source.fd).toBeGreaterThan(2)
  await source.close()
  await source.close()
  expect(source.fd).toBe(-1)
  await expect(source.read(0, 1)).rejects.toMatchObject({
    code: 'HEED_DISPOSED',
    message: `${path}: the file was closed. Open it again to read from it.`,
  })
})

test('headers are sent with each request', async () => {
  const source = await openByteSource(`${origin}/private`, { headers: { authorization: 'Bearer t' } })
  expect(source.byteLength).toBe(1000)
})

test('each failure of a download has its own message', async () => {
  await expect(openByteSource(`${origin}/none`)).rejects.toMatchObject({
    code: 'HEED_FILE_NOT_FOUND',
    message: `${origin}/none: status is 404 Not Found, expected 200 or 206.`,
  })
  await expect(openByteSource(`${origin}/page`)).rejects.toMatchObject({
    code: 'HEED_FILE_NOT_FOUND',
    message: `${origin}/page: the server sent a page (text/html), expected a file. Check the address.`,
  })
  await expect(openByteSource(`${origin}/private`)).rejects.toMatchObject({
    code: 'HEED_IO',
    message: `${origin}/private: status is 403 Forbidden, expected 200 or 206.`,
  })
  await expect(openByteSource('http://127.0.0.1:1/x')).rejects.toMatchObject({
    code: 'HEED_IO',
    message: 'http://127.0.0.1:1/x: the server cannot be reached. Check the address and the network.',
  })
  await expect(openByteSource(`${origin}/whole`, { signal: AbortSignal.abort() })).rejects.toMatchObject({
    code: 'HEED_ABORTED',
    message: `${origin}/whole: the download was cancelled.`,
  })
  const changing = await openByteSource(`${origin}/changing`)
  await expect(changing.read(0, 10)).rejects.toMatchObject({
    code: 'HEED_IO',
    message: `${origin}/changing: content-range is bytes 0-9/999, expected bytes 0-9/1000. The file changed meanwhile: open it again.`,
  })
  const short = await openByteSource(`${origin}/short`)
  await expect(short.read(0, 10)).rejects.toMatchObject({
    code: 'HEED_IO',
    message: `${origin}/short: 1 bytes came, expected 10. Try again.`,
  })
})

test('a connection that breaks is an error, not a short read', async () => {
  const broken = await openByteSource(`${origin}/broken`)
  await expect(broken.read(0, 10)).rejects.toMatchObject({
    code: 'HEED_IO',
    message: `${origin}/broken: the connection broke while reading. Try again.`,
  })
})

test('outside Node a path is a URL, and nothing is written but below opfs:/', async () => {
  expect((await inPages.openFile(`${origin}/ranges`)).byteLength).toBe(1000)
  for (const [attempt, mend] of [
    [inPages.createAtomicFile, 'Write there, or serialize to bytes and offer those as a download.'],
    [inPages.deleteFile, 'Only those can be deleted.'],
    [inPages.listFolder, 'Pass the files as a Map of names to Blobs.'],
  ] as const) {
    await expect(attempt('model')).rejects.toMatchObject({
      code: 'HEED_IO',
      message: `model: a page writes only below opfs:/, the files it keeps for itself. ${mend}`,
    })
  }
})

test('text must be UTF-8', async () => {
  expect(await readText(new TextEncoder().encode('{"é":1}'))).toBe('{"é":1}')
  await expect(readText(Uint8Array.of(0x7b, 0xff))).rejects.toMatchObject({
    code: 'HEED_FILE_INVALID',
    message: 'buffer: text is not valid UTF-8. The file is damaged or of another format.',
  })
})
