import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type HeedErrorCode, isHeedError, isHubId, tf } from '@heed/tensor-backend'
import {
  AutoModelForCausalLM,
  gpt2Architectures,
  openPretrained,
  registerArchitecture,
  resolveModel,
} from '@heed/transformer'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { neededFiles } from '../../src/loading/hub.ts'
import { tinyGpt2 } from '../tiny-gpt2.ts'

const sha = 'a'.repeat(40)
let cacheDir: string
let files: Map<string, Uint8Array>
let server: Server
let endpoint: string
let requests: string[]
/** What the server does wrong. */
let fault: 'break off' | 'wrong bytes' | undefined

function hashOf(name: string, bytes: Uint8Array): string {
  if (name.endsWith('.safetensors')) return createHash('sha256').update(bytes).digest('hex')
  return createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex')
}

beforeEach(async () => {
  await tf.setBackend('cpu')
  registerArchitecture(...gpt2Architectures)
  cacheDir = await mkdtemp(join(tmpdir(), 'heed-hub-'))
  const folder = join(cacheDir, 'source')
  const model = tinyGpt2()
  await model.savePretrained(folder)
  model.dispose()
  files = new Map()
  for (const name of ['config.json', 'generation_config.json', 'model.safetensors']) {
    files.set(name, await readFile(join(folder, name)))
  }
  requests = []
  fault = undefined
  server = createServer((request, response) => {
    const url = request.url!
    requests.push(`${request.method} ${url} ${request.headers.range ?? ''}`.trim())
    if (url === '/api/models/tiny/gpt2/revision/main') {
      const siblings = [...files.keys(), 'README.md', 'onnx/model.onnx'].map(rfilename => ({ rfilename }))
      response.end(JSON.stringify({ sha, siblings }))
      return
    }
    const name = url.replace(`/tiny/gpt2/resolve/${sha}/`, '')
    const bytes = files.get(name)
    if (!bytes) {
      response.writeHead(404).end()
      return
    }
    const [, from = '0'] = /^bytes=(\d+)-$/.exec(request.headers.range ?? '') ?? []
    const rest = bytes.subarray(Number(from))
    response.writeHead(request.headers.range ? 206 : 200, {
      etag: `"${hashOf(name, bytes)}"`,
      'content-length': rest.length,
    })
    if (request.method === 'HEAD') response.end()
    else if (fault === 'break off' && name === 'model.safetensors') {
      response.write(rest.subarray(0, 1000)) // and the connection is cut when they have come
    } else response.end(fault === 'wrong bytes' ? new Uint8Array(rest.length) : rest)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterEach(async () => {
  vi.unstubAllEnvs()
  server.closeAllConnections()
  await new Promise(resolve => server.close(resolve))
  await rm(cacheDir, { recursive: true })
})

async function failureOf(run: () => Promise<unknown>): Promise<[HeedErrorCode, string]> {
  try {
    await run()
  } catch (error) {
    if (isHeedError(error)) return [error.code, error.message.replaceAll(endpoint, 'HUB').replaceAll(cacheDir, 'DIR')]
    throw error
  }
  throw new Error('expected a HeedError')
}

test("a model comes from the hub into HF's cache, and the second time from there", async () => {
  const model = await AutoModelForCausalLM.fromPretrained('tiny/gpt2', { cacheDir, endpoint })
  model.dispose()
  const snapshot = join(cacheDir, 'models--tiny--gpt2', 'snapshots', sha)
  const hash = hashOf('model.safetensors', files.get('model.safetensors')!)
  expect(await readlink(join(snapshot, 'model.safetensors'))).toBe(join('..', '..', 'blobs', hash))
  expect(await readFile(join(cacheDir, 'models--tiny--gpt2', 'refs', 'main'), 'utf8')).toBe(sha)
  expect(requests.some(line => line.includes('README'))).toBe(false)

  requests = []
  expect(await resolveModel('tiny/gpt2', { cacheDir, endpoint })).toBe(snapshot)
  expect(requests).toEqual(['GET /api/models/tiny/gpt2/revision/main'])

  requests = []
  vi.stubEnv('HF_HUB_OFFLINE', '1')
  vi.stubEnv('HF_HUB_CACHE', cacheDir)
  expect(await resolveModel('tiny/gpt2')).toBe(snapshot)
  expect(requests).toEqual([])
})

test('a download that broke off goes on where it stopped', async () => {
  fault = 'break off'
  const onDownload = ({ file }: { file: string }): void => {
    if (file === 'model.safetensors') server.closeAllConnections()
  }
  const [code, message] = await failureOf(() => resolveModel('tiny/gpt2', { cacheDir, endpoint, onDownload }))
  expect([code, message]).toEqual([
    'HEED_IO',
    `HUB/tiny/gpt2/resolve/${sha}/model.safetensors: the download broke off. Run it again: it goes on where it stopped.`,
  ])
  fault = undefined
  requests = []
  const loaded: number[] = []
  const folder = await resolveModel('tiny/gpt2', {
    cacheDir,
    endpoint,
    onDownload: progress => loaded.push(progress.loaded),
  })
  expect(requests.at(-1)).toBe(`GET /tiny/gpt2/resolve/${sha}/model.safetensors bytes=1000-`)
  expect(await readFile(join(folder, 'model.safetensors'))).toEqual(files.get('model.safetensors'))
  expect(loaded.at(-1)).toBe(files.get('model.safetensors')!.length)
})

test('bytes of another hash are refused and thrown away', async () => {
  fault = 'wrong bytes'
  const [code, message] = await failureOf(() => resolveModel('tiny/gpt2', { cacheDir, endpoint }))
  const hash = hashOf('config.json', files.get('config.json')!)
  expect([code, message]).toEqual([
    'HEED_FILE_INVALID',
    `HUB/tiny/gpt2/resolve/${sha}/config.json: the bytes that came do not have the hash ${hash}, expected them to. Try again.`,
  ])
  fault = undefined
  await resolveModel('tiny/gpt2', { cacheDir, endpoint })
})

test('a model that is not there is named, on the hub and offline', async () => {
  expect(await failureOf(() => resolveModel('tiny/absent', { cacheDir, endpoint }))).toEqual([
    'HEED_FILE_NOT_FOUND',
    'tiny/absent: there is no such folder, and HUB/api/models/tiny/absent/revision/main answered 404, expected 200. ' +
      'Check the name; a gated or private model needs HF_TOKEN.',
  ])
  vi.stubEnv('HF_HUB_OFFLINE', '1')
  expect(await failureOf(() => resolveModel('tiny/absent', { cacheDir }))).toEqual([
    'HEED_FILE_NOT_FOUND',
    'tiny/absent: there is no such folder, and revision "main" is not in the cache at DIR/models--tiny--absent, ' +
      'expected it there since HF_HUB_OFFLINE is set. Unset it once to download the model.',
  ])
})

test('an adapter finds its base on the hub, also one of which it tells that it is not there', async () => {
  const adapter = join(cacheDir, 'adapter')
  const config = { peft_type: 'LORA', r: 1, target_modules: ['c_attn'], fan_in_fan_out: true }
  const openOn = async (base: string): Promise<{ source: string }> => {
    const json = { ...config, base_model_name_or_path: base }
    await mkdir(adapter, { recursive: true })
    await writeFile(join(adapter, 'adapter_config.json'), JSON.stringify(json))
    return openPretrained(adapter, { cacheDir, endpoint, revision: 'of-the-adapter' })
  }
  const { source } = await openOn('tiny/gpt2')
  expect(source).toBe(join(cacheDir, 'models--tiny--gpt2', 'snapshots', sha, 'config.json'))
  expect(await failureOf(() => openOn('tiny/absent'))).toEqual([
    'HEED_FILE_NOT_FOUND',
    'DIR/adapter/adapter_config.json: base_model_name_or_path is "tiny/absent", expected a model there or on the hub. ' +
      'tiny/absent: there is no such folder, and HUB/api/models/tiny/absent/revision/main answered 404, expected 200. ' +
      'Check the name; a gated or private model needs HF_TOKEN.',
  ])
})

test('the token goes along', async () => {
  let authorization: string | undefined
  server.prependListener('request', request => {
    authorization = request.headers.authorization
  })
  await resolveModel('tiny/gpt2', { cacheDir, endpoint, token: 'secret' })
  expect(authorization).toBe('Bearer secret')
})

test('a folder that exists is taken before the hub', async () => {
  await writeFile(join(cacheDir, 'model'), '')
  expect(await resolveModel(join(cacheDir, 'model'), { endpoint })).toBe(join(cacheDir, 'model'))
  expect(await resolveModel('packages', { endpoint })).toBe('packages')
  expect(requests).toEqual([])
})

test('ids are told from paths, and needed files from others', () => {
  expect(['gpt2', 'google/flan-t5-small', './gpt2', '/models/gpt2', 'a/b/c', 'https://x/y'].map(isHubId)).toEqual([
    true,
    true,
    false,
    false,
    false,
    false,
  ])
  expect(['user/m.gguf', 'm.safetensors', 'user/m.GGUF', 'user/m-GGUF'].map(isHubId)).toEqual([
    false,
    false,
    false,
    true,
  ])
  const both = ['model.safetensors', 'pytorch_model.bin', 'config.json', 'tf_model.h5', 'vocab.txt', 'onnx/config.json']
  expect(neededFiles(both)).toEqual(['config.json', 'vocab.txt', 'model.safetensors'])
  const templates = [
    'chat_template.jinja',
    'additional_chat_templates/rag.jinja',
    'additional_chat_templates/x/y.jinja',
  ]
  expect(neededFiles([...templates, 'added_tokens.json'])).toEqual([
    'chat_template.jinja',
    'added_tokens.json',
    'additional_chat_templates/rag.jinja',
  ])
  expect(neededFiles(['pytorch_model.bin', 'pytorch_model.bin.index.json', 'spiece.model'])).toEqual([
    'spiece.model',
    'pytorch_model.bin.index.json',
    'pytorch_model.bin',
  ])
  const adapter = ['adapter_config.json', 'adapter_model.bin', 'README.md']
  expect(neededFiles(adapter)).toEqual(['adapter_config.json', 'adapter_model.bin'])
  expect(neededFiles([...adapter, 'adapter_model.safetensors'])).toEqual([
    'adapter_config.json',
    'adapter_model.safetensors',
  ])
})
