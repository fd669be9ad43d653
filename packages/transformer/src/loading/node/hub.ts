import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, readFile, rename, stat, symlink, unlink, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fullDiskReason, HeedError } from '@heed/tensor-backend'
import { DEFAULT_ENDPOINT, type HubOptions, isHubId, neededFiles } from '../hub.ts'

interface Connection {
  endpoint: string
  headers: Record<string, string>
}

/** The 40 hexadecimal digits of a commit. */
const commitPattern = /^[0-9a-f]{40}$/

function cacheFolder(): string {
  const { HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME, XDG_CACHE_HOME } = process.env
  const home = HF_HOME || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'huggingface')
  return HF_HUB_CACHE || HUGGINGFACE_HUB_CACHE || join(home, 'hub')
}

const isOffline = (): boolean => /^(?:1|true|yes|on)$/i.test(process.env.HF_HUB_OFFLINE ?? '')

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

/**
 * The folder of a model: a path or URL as it is; a hub id from HF's cache, after fetching what is missing there. Downloads go
 * on where they stopped and are checked against the hub's hashes. Honours HF_HOME, HF_HUB_CACHE, HF_TOKEN, HF_ENDPOINT,
 * HF_HUB_OFFLINE. Throws HEED_FILE_NOT_FOUND, HEED_FILE_INVALID, HEED_IO.
 */
export async function resolveModel(location: string, options: HubOptions = {}): Promise<string> {
  if (!isHubId(location) || (await exists(location))) return location
  const { revision = 'main', cacheDir = cacheFolder(), onDownload } = options
  const storage = join(cacheDir, `models--${location.replace('/', '--')}`)
  if (isOffline()) return cachedSnapshot(location, storage, revision)

  const token = options.token ?? process.env.HF_TOKEN
  const connection: Connection = {
    endpoint: options.endpoint ?? (process.env.HF_ENDPOINT || DEFAULT_ENDPOINT),
    headers: token ? { Authorization: `Bearer ${token}` } : {},
  }
  const { sha, names } = await listFiles(location, revision, connection)
  const snapshot = join(storage, 'snapshots', sha)
  for (const name of neededFiles(names)) {
    if (await exists(join(snapshot, name))) continue
    await download({ id: location, sha, name }, storage, connection, onDownload)
  }
  if (revision !== sha) {
    const ref = join(storage, 'refs', revision)
    await mkdir(dirname(ref), { recursive: true })
    await writeFile(ref, sha)
  }
  return snapshot
}

async function cachedSnapshot(id: string, storage: string, revision: string): Promise<string> {
  const sha = commitPattern.test(revision)
    ? revision
    : await readFile(join(storage, 'refs', revision), 'utf8').catch(() => '')
  const snapshot = join(storage, 'snapshots', sha.trim())
  if (sha !== '' && (await exists(snapshot))) return snapshot
  throw new HeedError(
    'HEED_FILE_NOT_FOUND',
    `${id}: there is no such folder, and revision ${JSON.stringify(revision)} is not in the cache at ${storage}, ` +
      'expected it there since HF_HUB_OFFLINE is set. Unset it once to download the model.',
  )
}

async function request(id: string, url: string, init: RequestInit): Promise<Response> {
  let response: Response
  try {
    response = await fetch(url, init)
  } catch (cause) {
    throw new HeedError(
      'HEED_IO',
      `${id}: there is no such folder, and fetching ${url} failed. Check the name and the network.`,
      {
        cause,
      },
    )
  }
  if (response.ok) return response
  await response.body?.cancel()
  const isAbsent = response.status === 404 || response.status === 401
  const mend = isAbsent
    ? 'Check the name; a gated or private model needs HF_TOKEN.'
    : 'Try again later, or check HF_ENDPOINT.'
  throw new HeedError(
    isAbsent ? 'HEED_FILE_NOT_FOUND' : 'HEED_IO',
    `${id}: there is no such folder, and ${url} answered ${response.status}, expected 200. ${mend}`,
  )
}

async function listFiles(
  id: string,
  revision: string,
  { endpoint, headers }: Connection,
): Promise<{ sha: string; names: string[] }> {
  const url = `${endpoint}/api/models/${id}/revision/${encodeURIComponent(revision)}`
  const info = (await (await request(id, url, { headers })).json()) as {
    sha?: unknown
    siblings?: { rfilename?: unknown }[]
  }
  if (typeof info.sha !== 'string' || !commitPattern.test(info.sha) || !Array.isArray(info.siblings)) {
    throw new HeedError('HEED_FILE_INVALID', `${url}: the answer has no commit and list of files, expected both.`)
  }
  const names = info.siblings.map(({ rfilename }) => rfilename).filter(name => typeof name === 'string')
  return { sha: info.sha, names: names.filter(name => /^[\w.-]+$/.test(name) && !name.startsWith('.')) }
}

/** Fetches one file to `blobs/<hash>`, from where an earlier try stopped, and links it from the snapshot. */
async function download(
  { id, sha, name }: { id: string; sha: string; name: string },
  storage: string,
  { endpoint, headers }: Connection,
  onDownload: HubOptions['onDownload'],
): Promise<void> {
  const url = `${endpoint}/${id}/resolve/${sha}/${name}`
  const hash = await hashOf(id, url, headers)
  const blob = join(storage, 'blobs', hash)
  const link = join(storage, 'snapshots', sha, name)
  await mkdir(dirname(blob), { recursive: true })
  await mkdir(dirname(link), { recursive: true })
  if (!(await exists(blob))) {
    const incomplete = `${blob}.incomplete`
    await fetchRest(id, url, headers, incomplete, (loaded, total) => onDownload?.({ file: name, loaded, total }))
    if (!(await isIntact(incomplete, hash))) {
      await unlink(incomplete)
      throw new HeedError(
        'HEED_FILE_INVALID',
        `${url}: the bytes that came do not have the hash ${hash}, expected them to. Try again.`,
      )
    }
    await rename(incomplete, blob)
  }
  await symlink(relative(dirname(link), blob), link).catch(async error => {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  })
}

/** The ETag of a file: SHA-256 of a large one, git's SHA-1 of another. */
async function hashOf(id: string, url: string, headers: Record<string, string>): Promise<string> {
  // Not followed: a large file's hash is on the hub's answer, not on that of the store it points to.
  const init: RequestInit = { method: 'HEAD', headers, redirect: 'manual' }
  const response = await fetch(url, init).catch(() => undefined)
  const found = response?.headers.get('x-linked-etag') ?? response?.headers.get('etag')
  const hash = found?.replace(/^W\//, '').replaceAll('"', '')
  if (hash && /^[0-9a-f]{40,64}$/.test(hash)) return hash
  await request(id, url, { method: 'HEAD', headers })
  throw new HeedError('HEED_FILE_INVALID', `${url}: ETag is ${JSON.stringify(found)}, expected the hash of the file.`)
}

async function fetchRest(
  id: string,
  url: string,
  headers: Record<string, string>,
  path: string,
  onProgress: (loaded: number, total: number) => void,
): Promise<void> {
  const had = await stat(path).then(
    ({ size }) => size,
    () => 0,
  )
  const range: Record<string, string> = had > 0 ? { Range: `bytes=${had}-` } : {}
  const response = await request(id, url, { headers: { ...headers, ...range } })
  const isPartial = response.status === 206
  const file = await open(path, isPartial ? 'a' : 'w')
  try {
    let loaded = isPartial ? had : 0
    const total = loaded + Number(response.headers.get('content-length') ?? 0)
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      await file.writeFile(chunk)
      loaded += chunk.byteLength
      onProgress(loaded, total)
    }
    await file.sync()
  } catch (cause) {
    const full = fullDiskReason(cause)
    const reason = full ? `: ${full}, and run` : '. Run'
    throw new HeedError('HEED_IO', `${url}: the download broke off${reason} it again: it goes on where it stopped.`, {
      cause,
    })
  } finally {
    await file.close()
  }
}

async function isIntact(path: string, expected: string): Promise<boolean> {
  const hash = createHash(expected.length === 64 ? 'sha256' : 'sha1')
  if (expected.length === 40) hash.update(`blob ${(await stat(path)).size}\0`)
  for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array)
  return hash.digest('hex') === expected
}
