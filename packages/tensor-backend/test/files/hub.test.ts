import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openHubRepository as openInPage } from '../../src/files/browser/hub.ts'
import { openHubRepository as openInNode } from '../../src/files/node/hub.ts'

const sha = 'd'.repeat(40)
const siblings = [
  'data/a b.csv',
  'README.md',
  '.gitattributes',
  'data/.hidden',
  '../up.csv',
  'a//b',
  '/root',
  'c\\d',
].map(rfilename => ({ rfilename }))
const answers: { [url: string]: [status: number, body: string] } = {
  '/api/datasets/tiny/rows/revision/main': [200, JSON.stringify({ sha, siblings })],
  '/api/datasets/tiny/rows/revision/a%2Fbranch': [200, JSON.stringify({ sha, siblings })],
  '/api/models/tiny/odd/revision/main': [200, '{"sha": "main"}'],
  '/api/models/tiny/gated/revision/main': [403, ''],
  '/api/models/tiny/busy/revision/main': [503, ''],
}

let server: Server
let endpoint: string
let cacheDir: string

beforeAll(async () => {
  cacheDir = mkdtempSync(join(tmpdir(), 'heed-hub-'))
  server = createServer((request, response) => {
    const [status, body] = answers[request.url!] ?? [404, '']
    response.writeHead(status).end(body)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterAll(async () => {
  server.closeAllConnections()
  await new Promise(resolve => server.close(resolve))
  rmSync(cacheDir, { recursive: true })
})

describe.each([
  ['Node', openInNode],
  ['a page', openInPage],
])('a repository in %s', (place, open) => {
  test('has the files of its commit, without hidden ones and those outside', async () => {
    for (const revision of ['main', 'a/branch']) {
      const { names, folder } = await open('dataset', 'tiny/rows', { endpoint, cacheDir, revision })
      expect(names).toEqual(['data/a b.csv', 'README.md'])
      expect(folder).toBe(
        place === 'Node'
          ? join(cacheDir, 'datasets--tiny--rows', 'snapshots', sha)
          : `${endpoint}/datasets/tiny/rows/resolve/${sha}`,
      )
    }
  })

  test('that is absent, or not understood, is named', async () => {
    await expect(open('model', 'tiny/absent', { endpoint, cacheDir })).rejects.toMatchObject({
      code: 'HEED_FILE_NOT_FOUND',
      message: expect.stringContaining(`${endpoint}/api/models/tiny/absent/revision/main`),
    })
    await expect(open('model', 'tiny/odd', { endpoint, cacheDir })).rejects.toMatchObject({
      code: 'HEED_FILE_INVALID',
      message: `${endpoint}/api/models/tiny/odd/revision/main: the answer has no commit and list of files, expected both.`,
    })
  })
})

test('a gated repository needs a token, a busy hub another try', async () => {
  await expect(openInNode('model', 'tiny/gated', { endpoint, cacheDir })).rejects.toMatchObject({
    code: 'HEED_FILE_NOT_FOUND',
    message: `tiny/gated: there is no such folder, and ${endpoint}/api/models/tiny/gated/revision/main answered 403, expected 200. Check the name; a gated or private model needs HF_TOKEN.`,
  })
  await expect(openInNode('model', 'tiny/busy', { endpoint, cacheDir })).rejects.toMatchObject({
    code: 'HEED_IO',
    message: `tiny/busy: there is no such folder, and ${endpoint}/api/models/tiny/busy/revision/main answered 503, expected 200. Try again later, or check HF_ENDPOINT.`,
  })
})
