import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, readdir, readFile, rename, stat, symlink, unlink, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join, relative, sep } from 'node:path'
import { HeedError } from '../../errors.ts'
import { writeFileAtomic } from '../atomic-write.ts'
import { fullDiskReason } from '../full-disk.ts'
import {
  aboutUrl,
  DEFAULT_ENDPOINT,
  filesUrl,
  type HubOptions,
  type HubRepository,
  type HubRepositoryKind,
  readAbout,
  visibleFiles,
} from '../hub.ts'
import { makeFolder } from './file-system.ts'

interface Repository {
  kind: HubRepositoryKind
  id: string
  /** Its folder in the cache. */
  storage: string
}

interface RemoteFile {
  name: string
  url: string
  /** Where it belongs in the snapshot. */
  link: string
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

/** What messages call a repository. */
const nouns: Record<HubRepositoryKind, string> = { model: 'model', dataset: 'data set' }

/**
 * A repository on the hub, its files in HF's cache. Downloads go on where they stopped and are checked against the hub's
 * hashes. Honours HF_HOME, HF_HUB_CACHE, HF_TOKEN, HF_ENDPOINT, HF_HUB_OFFLINE. Throws HEED_FILE_NOT_FOUND,
 * HEED_FILE_INVALID, HEED_IO.
 */
export async function openHubRepository(
  kind: HubRepositoryKind,
  id: string,
  options: HubOptions = {},
): Promise<HubRepository> {
  const { revision = 'main', cacheDir = cacheFolder(), onDownload } = options
  const repository = { kind, id, storage: join(cacheDir, `${kind}s--${id.replace('/', '--')}`) }
  if (isOffline()) return cachedRepository(repository, revision)

  const token = options.token ?? process.env.HF_TOKEN
  const endpoint = options.endpoint ?? (process.env.HF_ENDPOINT || DEFAULT_ENDPOINT)
  const headers: Record<string, string> = token ? { Authorization: `Bearer ${token}` } : {}
  const about = aboutUrl(kind, endpoint, id, revision)
  const { sha, names } = readAbout(await (await request(repository, about, { headers })).text(), about)
  if (revision !== sha) {
    const ref = join(repository.storage, 'refs', revision)
    await makeFolder(dirname(ref))
    await writeFile(ref, sha)
  }
  const list = listFile(repository, sha)
  if (!(await exists(list))) await writeFileAtomic(list, JSON.stringify(names))
  const folder = join(repository.storage, 'snapshots', sha)
  const fetchFiles = async (files: readonly string[]): Promise<void> => {
    for (const name of files) {
      if (await exists(join(folder, name))) continue
      const url = `${filesUrl(kind, endpoint, id, sha)}/${name.split('/').map(encodeURIComponent).join('/')}`
      await download(repository, { name, url, link: join(folder, name) }, headers, onDownload)
    }
  }
  return { names, folder, fetch: fetchFiles }
}

/** Where the names of all files of a commit are kept: the cache itself holds only those that were fetched. */
const listFile = ({ storage }: Repository, sha: string): string => join(storage, '.heed', `${sha}.json`)

/** A repository without the network. */
async function cachedRepository(repository: Repository, revision: string): Promise<HubRepository> {
  const { kind, id, storage } = repository
  const sha = commitPattern.test(revision)
    ? revision
    : await readFile(join(storage, 'refs', revision), 'utf8').catch(() => '')
  const folder = join(storage, 'snapshots', sha.trim())
  const mend = `expected it there since HF_HUB_OFFLINE is set. Unset it once to download the ${nouns[kind]}.`
  const found = sha === '' ? undefined : await readdir(folder, { recursive: true }).catch(() => undefined)
  if (found === undefined) {
    throw new HeedError(
      'HEED_FILE_NOT_FOUND',
      `${id}: there is no such folder, and revision ${JSON.stringify(revision)} is not in the cache at ${storage}, ${mend}`,
    )
  }
  const all = await readFile(listFile(repository, sha.trim()), 'utf8').catch(() => undefined)
  const names = all === undefined ? visibleFiles(found.map(name => name.replaceAll(sep, '/'))) : JSON.parse(all)
  const fetchFiles = async (files: readonly string[]): Promise<void> => {
    for (const name of files) {
      if (await exists(join(folder, name))) continue
      throw new HeedError('HEED_FILE_NOT_FOUND', `${id}: ${name} is not in the cache at ${folder}, ${mend}`)
    }
  }
  return { names, folder, fetch: fetchFiles }
}

async function request({ kind, id }: Repository, url: string, init: RequestInit): Promise<Response> {
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
  const isAbsent = [401, 403, 404].includes(response.status)
  const mend = isAbsent
    ? `Check the name; a gated or private ${nouns[kind]} needs HF_TOKEN.`
    : 'Try again later, or check HF_ENDPOINT.'
  throw new HeedError(
    isAbsent ? 'HEED_FILE_NOT_FOUND' : 'HEED_IO',
    `${id}: there is no such folder, and ${url} answered ${response.status}, expected 200. ${mend}`,
  )
}

/** Fetches one file to `blobs/<hash>`, from where an earlier try stopped, and links it from the snapshot. */
async function download(
  repository: Repository,
  { name, url, link }: RemoteFile,
  headers: Record<string, string>,
  onDownload: HubOptions['onDownload'],
): Promise<void> {
  const hash = await hashOf(repository, url, headers)
  const blob = join(repository.storage, 'blobs', hash)
  await makeFolder(dirname(blob))
  await makeFolder(dirname(link))
  if (!(await exists(blob))) {
    const incomplete = `${blob}.incomplete`
    await fetchRest(repository, url, headers, incomplete, (loaded, total) =>
      onDownload?.({ file: name, loaded, total }),
    )
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
async function hashOf(repository: Repository, url: string, headers: Record<string, string>): Promise<string> {
  // Not followed: a large file's hash is on the hub's answer, not on that of the store it points to.
  const init: RequestInit = { method: 'HEAD', headers, redirect: 'manual' }
  const response = await fetch(url, init).catch(() => undefined)
  const found = response?.headers.get('x-linked-etag') ?? response?.headers.get('etag')
  const hash = found?.replace(/^W\//, '').replaceAll('"', '')
  if (hash && /^[0-9a-f]{40,64}$/.test(hash)) return hash
  await request(repository, url, { method: 'HEAD', headers })
  throw new HeedError('HEED_FILE_INVALID', `${url}: ETag is ${JSON.stringify(found)}, expected the hash of the file.`)
}

async function fetchRest(
  repository: Repository,
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
  const response = await request(repository, url, { headers: { ...headers, ...range } })
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
