import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { loadDataset, type Row, streamDataset } from '../../src/data/load-dataset.ts'
import { readDatasetPieces } from '../../src/data/text-pieces.ts'
import { temporaryFolder } from '../temporary-folder.ts'

const sha = 'b'.repeat(40)
const files: { [name: string]: string } = {
  'README.md':
    '---\nconfigs:\n- config_name: en\n  data_files:\n  - split: train\n    path: en/*.jsonl\n  - split: test\n    path: en/té st.csv\n- config_name: fr\n  data_dir: fr\n---\n# About\n',
  'en/a.jsonl': '{"text": "one"}\n{"text": "two"}\n',
  'en/b.jsonl': '{"text": "three"}\n',
  'en/té st.csv': 'text,n\nfour,4\n',
  'fr/train.txt': 'un\ndeux\n',
  '.gitattributes': '',
  '../../outside.jsonl': '{}',
}

let server: Server
let endpoint: string
let cacheDir: string
let requests: string[]
let authorization: string | undefined

beforeEach(async () => {
  cacheDir = temporaryFolder()
  requests = []
  server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`)
    authorization = request.headers.authorization
    if (request.url === '/api/datasets/tiny/rows/revision/main') {
      response.end(JSON.stringify({ sha, siblings: Object.keys(files).map(rfilename => ({ rfilename })) }))
      return
    }
    const name = decodeURIComponent(request.url!).replace(`/datasets/tiny/rows/resolve/${sha}/`, '')
    const text = files[name]
    if (text === undefined) {
      response.writeHead(404).end()
      return
    }
    const bytes = Buffer.from(text)
    const hash = createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex')
    response.writeHead(200, { etag: `"${hash}"`, 'content-length': bytes.length })
    response.end(request.method === 'HEAD' ? undefined : bytes)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterEach(async () => {
  vi.unstubAllEnvs()
  server.closeAllConnections()
  await new Promise(resolve => server.close(resolve))
})

const rowsOf = async (...args: Parameters<typeof loadDataset>): Promise<Row[]> => [...(await loadDataset(...args))]

test("a split comes from the hub into HF's cache, and without the network from there", async () => {
  vi.stubEnv('HF_HOME', cacheDir)
  vi.stubEnv('HF_ENDPOINT', endpoint)
  vi.stubEnv('HF_TOKEN', 'secret')
  const expected = [{ text: 'one' }, { text: 'two' }, { text: 'three' }]
  expect(await rowsOf('tiny/rows', { config: 'en' })).toEqual(expected)
  expect(authorization).toBe('Bearer secret')
  expect(requests.filter(line => line.startsWith('GET'))).toEqual([
    'GET /api/datasets/tiny/rows/revision/main',
    `GET /datasets/tiny/rows/resolve/${sha}/README.md`,
    `GET /datasets/tiny/rows/resolve/${sha}/en/a.jsonl`,
    `GET /datasets/tiny/rows/resolve/${sha}/en/b.jsonl`,
  ])
  requests = []
  vi.stubEnv('HF_HUB_OFFLINE', '1')
  expect(await rowsOf('tiny/rows', { config: 'en' })).toEqual(expected)
  expect(
    await rowsOf('json', { dataFiles: `${cacheDir}/hub/datasets--tiny--rows/snapshots/${sha}/en/b.jsonl` }),
  ).toEqual([{ text: 'three' }])
  expect(requests).toEqual([])
})

test('other splits, configs and files are chosen; names may have odd letters', async () => {
  expect(await rowsOf('tiny/rows', { config: 'en', split: 'test', cacheDir, endpoint })).toEqual([
    { text: 'four', n: 4 },
  ])
  expect(await rowsOf('tiny/rows', { config: 'fr', cacheDir, endpoint })).toEqual([{ text: 'un' }, { text: 'deux' }])
  expect(await rowsOf('tiny/rows', { config: 'fr', sampleBy: 'document', cacheDir, endpoint })).toEqual([
    { text: 'un\ndeux' },
  ])
  expect(await rowsOf('tiny/rows', { dataFiles: 'en/b.*', cacheDir, endpoint })).toEqual([{ text: 'three' }])
  // A name that leads out of the cache is not followed.
  expect((await rowsOf('tiny/rows', { dataFiles: '**/*.jsonl', cacheDir, endpoint })).length).toBe(3)
})

test('a stream downloads a file when its turn comes', async () => {
  const stream = streamDataset('tiny/rows', { config: 'en', cacheDir, endpoint })
  expect(requests).toEqual([])
  expect([...(await stream.take(2).toDataset())]).toEqual([{ text: 'one' }, { text: 'two' }])
  expect(requests.filter(line => line.includes('b.jsonl'))).toEqual([])
  vi.stubEnv('HF_HUB_OFFLINE', '1')
  await expect(stream.toDataset()).rejects.toThrow(
    `tiny/rows: en/b.jsonl is not in the cache at ${cacheDir}/datasets--tiny--rows/snapshots/${sha}, expected it there since HF_HUB_OFFLINE is set. Unset it once to download the data set.`,
  )
})

test('a part of a split is read no further than it goes, and one by percentages counts the rows first', async () => {
  const hub = { config: 'en', cacheDir, endpoint }
  const [one, two, three, four] = [{ text: 'one' }, { text: 'two' }, { text: 'three' }, { text: 'four', n: 4 }]
  expect(await rowsOf('tiny/rows', { ...hub, split: 'train[1:2]' })).toEqual([two])
  expect([...(await streamDataset('tiny/rows', { ...hub, split: 'train[:2]' }).toDataset())]).toEqual([one, two])
  expect(requests.filter(line => line.includes('b.jsonl'))).toEqual([])
  const rest = { ...hub, split: 'train[-50%:] + test[:1]' }
  expect(await rowsOf('tiny/rows', rest)).toEqual([two, three, four])
  expect([...(await streamDataset('tiny/rows', rest).toDataset())]).toEqual([two, three, { text: 'four', n: '4' }])
  expect(await rowsOf('tiny/rows', { ...hub, split: 'all' })).toEqual([one, two, three, four])
})

test('a folder is read as a data set on the hub is', async () => {
  const folder = temporaryFolder()
  mkdirSync(`${folder}/test`)
  writeFileSync(`${folder}/test/a.jsonl`, '{"n": 1}\n')
  writeFileSync(`${folder}/test/.hidden.jsonl`, '{"n": 2}\n')
  expect(await rowsOf(folder, { split: 'test' })).toEqual([{ n: 1 }])
  await expect(rowsOf(folder)).rejects.toThrow(`${folder}: split is "train", expected one of test.`)
})

test('texts of a split come in pieces: rows as documents, a text file as one', async () => {
  const pieces = async (config: string, more = {}): Promise<unknown[]> => {
    const all: unknown[] = []
    for await (const piece of readDatasetPieces('tiny/rows', { config, cacheDir, endpoint, ...more })) all.push(piece)
    return all
  }
  expect(await pieces('en')).toEqual([{ texts: ['one', 'two', 'three'], endsLast: true }])
  expect(await pieces('en', { split: 'train[1:]+test', textColumn: 'text' })).toEqual([
    { texts: ['two', 'three'], endsLast: true },
    { texts: ['four'], endsLast: true },
  ])
  expect(await pieces('en', { split: 'test', textColumn: 'n' })).toEqual([{ texts: ['4'], endsLast: true }])
  expect(await pieces('fr')).toEqual([{ texts: ['un\ndeux\n'], endsLast: true }])
  expect(await pieces('fr', { split: 'train[-1:]' })).toEqual([{ texts: ['deux\n'], endsLast: true }])
})

test('what is not there is named', async () => {
  await expect(rowsOf('tiny/rows', { cacheDir, endpoint })).rejects.toThrow(
    'tiny/rows: config is undefined, expected one of en, fr.',
  )
  await expect(rowsOf('tiny/absent', { cacheDir, endpoint })).rejects.toThrow(
    `tiny/absent: there is no such folder, and ${endpoint}/api/datasets/tiny/absent/revision/main answered 404, expected 200. Check the name; a gated or private data set needs HF_TOKEN.`,
  )
  await expect(rowsOf('rows/train.csv', { cacheDir, endpoint })).rejects.toThrow(
    'loadDataset: there is no folder "rows/train.csv", expected one of the formats text, json, csv, parquet, arrow, a folder, or a data set on the hub as user/name.',
  )
  vi.stubEnv('HF_HUB_OFFLINE', '1')
  await expect(rowsOf('tiny/other', { cacheDir })).rejects.toThrow(
    `tiny/other: there is no such folder, and revision "main" is not in the cache at ${cacheDir}/datasets--tiny--other, expected it there since HF_HUB_OFFLINE is set. Unset it once to download the data set.`,
  )
})
