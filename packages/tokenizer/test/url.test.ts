import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { Tokenizer } from '../src/index.ts'

test('a page that a single-page server sends for a file that is not there is not taken for the file', async () => {
  const json = { model: { type: 'WordLevel', vocab: { a: 0 }, unk_token: 'a' } }
  const server = createServer((request, response) => {
    const isThere = request.url === '/model/tokenizer.json'
    response.writeHead(200, { 'content-type': isThere ? 'application/json' : 'text/html' })
    response.end(isThere ? JSON.stringify(json) : '<!doctype html>')
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  try {
    expect((await Tokenizer.fromPretrained(`${origin}/model`)).tokenToId('a')).toBe(0)
    await expect(Tokenizer.fromPretrained(`${origin}/none`)).rejects.toMatchObject({ code: 'HEED_FILE_NOT_FOUND' })
  } finally {
    server.close()
  }
})
