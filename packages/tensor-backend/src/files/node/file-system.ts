import { randomUUID } from 'node:crypto'
import { closeSync, fstatSync, openSync, type Stats, unlinkSync } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { HeedError } from '../../errors.ts'
import { type ByteSource, checkRange, type SharedFile } from '../byte-source.ts'
import type { AtomicFile } from '../file-system.ts'
import { fullDiskReason } from '../full-disk.ts'

/** One system call reads or writes at most this much: Linux stops at 2 GiB minus a page. */
const CHUNK = 2 ** 30

/** A process that is told to end waits for the call that writes: it should not have much to do. */
const WRITE_CHUNK = 2 ** 25

function pathOf(address: string): string {
  return address.startsWith('file:') ? fileURLToPath(address) : address
}

function systemError(path: string, action: string, cause: unknown): HeedError {
  if (cause instanceof HeedError) return cause
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  if (code === 'ENOTDIR') {
    const message = `${path}: this, or a folder on the way to it, is a file, expected a folder. Check the path.`
    return new HeedError('HEED_FILE_NOT_FOUND', message, { cause })
  }
  if (code === 'ENOENT') {
    return new HeedError('HEED_FILE_NOT_FOUND', `${path}: there is no such file or folder. Check the path.`, { cause })
  }
  if (code === 'EISDIR' && action === 'opening') {
    return new HeedError('HEED_IO', `${path}: this is a folder, expected a file. Name a file in it.`, { cause })
  }
  const reason = fullDiskReason(cause) ?? `${code || String(cause)}. Check the path and its permissions`
  return new HeedError('HEED_IO', `${path}: ${action} failed: ${reason}.`, { cause })
}

/** Opens a file for reading by ranges. Throws HEED_FILE_NOT_FOUND, HEED_IO. */
export async function openFile(address: string): Promise<ByteSource> {
  const path = pathOf(address)
  let handle: FileHandle | undefined
  try {
    handle = await open(path, 'r')
    const stat = await handle.stat()
    if (stat.isDirectory()) throw Object.assign(new Error('is a folder'), { code: 'EISDIR' })
    return fileSource(path, handle, stat)
  } catch (cause) {
    await handle?.close()
    throw systemError(path, 'opening', cause)
  }
}

function fileSource(path: string, handle: FileHandle, stat: Stats): ByteSource {
  const byteLength = stat.size
  let isOpen = true
  const source = {
    name: path,
    byteLength,
    get fd(): number {
      return handle.fd // -1 once it is closed, so that nobody reads from the file that takes its number
    },
    async read(offset: number, length: number, room?: Uint8Array): Promise<Uint8Array> {
      if (!isOpen) throw new HeedError('HEED_DISPOSED', `${path}: the file was closed. Open it again to read from it.`)
      checkRange(source, offset, length)
      const bytes = room?.subarray(0, length) ?? new Uint8Array(Buffer.allocUnsafeSlow(length).buffer)
      for (let done = 0; done < length; ) {
        const { bytesRead } = await handle
          .read(bytes, done, Math.min(length - done, CHUNK), offset + done)
          .catch(cause => Promise.reject(systemError(path, 'reading', cause)))
        if (bytesRead === 0) {
          throw new HeedError(
            'HEED_IO',
            `${path}: the file ended at byte ${offset + done}, expected ${byteLength}. It shrank while open.`,
          )
        }
        done += bytesRead
      }
      return bytes
    },
    share: () => shareFile(path, stat),
    async close(): Promise<void> {
      if (!isOpen) return
      isOpen = false
      await handle.close()
    },
  }
  return source
}

function shareFile(path: string, opened: Stats): SharedFile | undefined {
  const isSame = (now: Stats): boolean =>
    now.ino === opened.ino && now.dev === opened.dev && now.size === opened.size && now.mtimeMs === opened.mtimeMs
  let fd = -1
  try {
    fd = openSync(path, 'r')
  } catch {
    return undefined
  }
  let holders = 1
  const file = {
    name: path,
    get fd(): number {
      return fd
    },
    hold(): void {
      holders += 1
    },
    release(): void {
      holders -= 1
      if (holders > 0) return
      closeSync(fd)
      fd = -1
    },
    isUnchanged: () => fd !== -1 && isSame(fstatSync(fd)),
  }
  if (file.isUnchanged()) return file
  file.release()
  return undefined
}

/**
 * Makes a folder and those above it. `mkdir` with `recursive` would never return where the system answers ENOENT below a folder
 * that is there, as in /proc. Throws HEED_IO, HEED_FILE_NOT_FOUND.
 */
export async function makeFolder(address: string): Promise<void> {
  const path = pathOf(address)
  const found = await stat(path).catch(() => undefined)
  if (found?.isDirectory()) return
  try {
    if (found) throw Object.assign(new Error('is a file'), { code: 'ENOTDIR' })
    if (dirname(path) !== path) await makeFolder(dirname(path))
    await mkdir(path)
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'EEXIST') return // another process was faster
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') {
      const message = `${path}: making the folder failed: no folders can be made there (ENOENT). Choose another path.`
      throw new HeedError('HEED_IO', message, { cause })
    }
    throw systemError(path, 'making the folder', cause)
  }
}

/** Temporary files that are being written. */
const temporaries = new Set<string>()

/** What ends the process in the middle of writing, such as a handler of Ctrl-C that calls `process.exit`, leaves none behind. */
function removeTemporaries(): void {
  for (const path of temporaries) {
    try {
      unlinkSync(path)
    } catch {} // it was not made yet
  }
}

function addTemporary(path: string): void {
  if (temporaries.size === 0) process.on('exit', removeTemporaries)
  temporaries.add(path)
}

function forgetTemporary(path: string): void {
  temporaries.delete(path)
  if (temporaries.size === 0) process.off('exit', removeTemporaries)
}

/**
 * A file under a temporary name in the folder of `address`, made with its folder; it goes when the process ends before it is
 * complete. Throws HEED_IO.
 */
export async function createAtomicFile(address: string): Promise<AtomicFile> {
  const path = pathOf(address)
  const temporary = join(dirname(path), `.${basename(path)}.${randomUUID()}.tmp`)
  let handle: FileHandle
  addTemporary(temporary)
  try {
    await makeFolder(dirname(path))
    handle = await open(temporary, 'wx')
  } catch (cause) {
    forgetTemporary(temporary)
    throw systemError(path, 'writing', cause)
  }
  let isOpen = true
  const close = async () => {
    if (isOpen) {
      isOpen = false
      await handle.close()
    }
  }
  return {
    async write(bytes) {
      for (let done = 0; done < bytes.byteLength; ) {
        const { bytesWritten } = await handle
          .write(bytes, done, Math.min(bytes.byteLength - done, WRITE_CHUNK))
          .catch(cause => Promise.reject(systemError(path, 'writing', cause)))
        done += bytesWritten
      }
    },
    async finish() {
      try {
        await handle.sync()
        await close()
      } catch (cause) {
        throw systemError(path, 'writing', cause)
      }
    },
    async commit() {
      await rename(temporary, path).catch(cause => Promise.reject(systemError(path, 'writing', cause)))
      forgetTemporary(temporary)
      await syncFolder(dirname(path))
    },
    async discard() {
      await close().catch(() => {})
      await unlink(temporary).catch(() => {})
      forgetTemporary(temporary)
    },
  }
}

/** Makes a rename survive a power cut; systems that cannot open a folder (Windows) keep the file anyway. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => undefined)
  await handle?.sync().catch(() => {})
  await handle?.close()
}

/** The names of the files in a folder. Throws HEED_FILE_NOT_FOUND, HEED_IO. */
export async function listFolder(folder: string): Promise<string[]> {
  return readdir(pathOf(folder)).catch(cause => Promise.reject(systemError(folder, 'listing', cause)))
}

/** Deletes a file. Throws HEED_FILE_NOT_FOUND, HEED_IO. */
export async function deleteFile(path: string): Promise<void> {
  await unlink(pathOf(path)).catch(cause => Promise.reject(systemError(path, 'deleting', cause)))
}
