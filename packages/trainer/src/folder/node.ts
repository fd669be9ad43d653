import { appendFile, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fullDiskReason, HeedError, makeFolder } from '@heed/tensor-backend'
import type { FolderAccess } from './folder.ts'

const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : '')

/** Runs a system call; its failure becomes HEED_IO. */
async function attempt<T>(path: string, action: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (cause) {
    const reason = fullDiskReason(cause) ?? `${codeOf(cause) || String(cause)}. Check the path and its permissions`
    throw new HeedError('HEED_IO', `${path}: ${action} failed: ${reason}.`, { cause })
  }
}

/** Brings a file's content, or a folder's list of names, to the disk. */
async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** The lock file holds who has it, so that the lock of a process that was killed can be told from a live one. */
interface Holder {
  pid: number
  host: string
}

/** Locks of this process: another one with its number, before a restart, is gone. */
const held = new Set<string>()

/** Milliseconds in which a process that was killed may still be ending, as under mpirun, which does not wait for all. */
const endingTime = 2000

/** Milliseconds in which a lock that was made is written, at the latest. */
const writingTime = 100

/** Whether a process has ended, and its parent has only not asked how. Linux tells. */
async function isZombie(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return stat.slice(stat.lastIndexOf(')')).startsWith(') Z')
}

async function isAlive(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0)
    return !(await isZombie(pid))
  } catch (error) {
    return codeOf(error) === 'EPERM'
  }
}

/** Whether the holder of a lock still has it; one that is ending gets the time for it. */
async function isHeld({ pid, host }: Holder, file: string): Promise<boolean> {
  if (host !== hostname()) return true
  if (pid === process.pid) return held.has(file)
  for (const start = performance.now(); await isAlive(pid); await setTimeout(50)) {
    if (performance.now() - start > endingTime) return true
  }
  return false
}

async function readHolder(file: string): Promise<Holder | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Holder
  } catch {
    return undefined
  }
}

async function lock(folder: string): Promise<() => Promise<void>> {
  const file = resolve(folder, '.heed-lock')
  const content = JSON.stringify({ pid: process.pid, host: hostname() } satisfies Holder)
  for (;;) {
    try {
      const handle = await open(file, 'wx')
      await handle.writeFile(content)
      await handle.close()
      held.add(file)
      return async () => {
        held.delete(file)
        await rm(file, { force: true })
      }
    } catch (cause) {
      if (codeOf(cause) !== 'EEXIST') return attempt(file, 'locking', () => Promise.reject(cause))
    }
    let holder = await readHolder(file)
    if (!holder) {
      await setTimeout(writingTime) // by a run that begins at the same moment
      holder = await readHolder(file)
    }
    if (holder && (await isHeld(holder, file))) {
      throw new HeedError(
        'HEED_IO',
        `${folder}: process ${holder.pid} on ${holder.host} is training in this folder, expected no other run. ` +
          `Choose another folder, or remove ${file} if that run is over.`,
      )
    }
    await rm(file, { force: true })
  }
}

export const folders: FolderAccess = {
  list: folder =>
    attempt(folder, 'listing', async () => {
      try {
        return await readdir(folder)
      } catch (error) {
        if (codeOf(error) === 'ENOENT') return []
        throw error
      }
    }),
  tree: folder =>
    attempt(folder, 'listing', async () => {
      try {
        const entries = await readdir(folder, { recursive: true, withFileTypes: true })
        const files = entries.filter(entry => !entry.isDirectory())
        return files.map(({ parentPath, name }) => relative(folder, join(parentPath, name)).replaceAll(sep, '/')).sort()
      } catch (error) {
        if (['ENOENT', 'ENOTDIR'].includes(codeOf(error))) return undefined
        throw error
      }
    }),
  make: makeFolder,
  remove: folder => attempt(folder, 'removing', () => rm(folder, { recursive: true, force: true })),
  publish: (from, to) =>
    attempt(to, 'saving', async () => {
      for (const name of await readdir(from)) await sync(join(from, name))
      await sync(from)
      await rename(from, to)
      await sync(dirname(to))
    }),
  append: (file, content) => attempt(file, 'writing', () => appendFile(file, content)),
  lock: folder => lock(folder),
}

/** Resident memory of the process in bytes. */
export function memoryInUse(): number | undefined {
  return process.memoryUsage.rss()
}

const interrupts: NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP']

export interface InterruptSignal {
  signal: AbortSignal
  /** Gives Ctrl-C its usual meaning back. */
  release(): void
}

/** A signal that Ctrl-C, SIGTERM or a terminal that is closed sets once; a second one ends the process as usual. */
export function interruptSignal(): InterruptSignal {
  const controller = new AbortController()
  const abort = (): void => {
    release()
    controller.abort()
  }
  const release = (): void => {
    for (const name of interrupts) process.off(name, abort)
  }
  for (const name of interrupts) process.on(name, abort)
  return { signal: controller.signal, release }
}
