import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { open, readdir, readFile, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { HeedError } from '../errors.ts'
import type { TextFiles } from './file-system.ts'
import { fetchBytes, isUrl, joinUrl } from './url.ts'

function pathOf(address: string): string {
  return address.startsWith('file:') ? fileURLToPath(address) : address
}

async function readHead(path: string, limit: number): Promise<Uint8Array> {
  const handle = await open(path, 'r')
  try {
    const bytes = new Uint8Array(Math.min(limit, (await handle.stat()).size))
    let filled = 0
    while (filled < bytes.length) {
      const { bytesRead } = await handle.read(bytes, filled, bytes.length - filled, filled)
      if (bytesRead === 0) break
      filled += bytesRead
    }
    return bytes.subarray(0, filled)
  } finally {
    await handle.close()
  }
}

/** `mkdirSync` with `recursive` would never return where the system answers ENOENT below a folder that is there, as in /proc. */
function makeFolder(path: string): void {
  if (existsSync(path)) return
  if (dirname(path) !== path) makeFolder(dirname(path))
  try {
    mkdirSync(path)
  } catch (error) {
    if (!existsSync(path)) throw error // else another process was faster
  }
}

function removeQuietly(path: string): void {
  try {
    rmSync(path, { force: true })
  } catch {} // why writing failed is what counts
}

export const files: TextFiles = {
  async readBytes(address, limit) {
    if (isUrl(address)) return fetchBytes(address, limit)
    try {
      return await (limit === undefined ? readFile(pathOf(address)) : readHead(pathOf(address), limit))
    } catch (cause) {
      const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
      if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
      throw new HeedError('HEED_IO', `${address}: reading failed: ${String(code ?? cause)}. Check the path.`, { cause })
    }
  },

  async list(address) {
    return isUrl(address) ? [] : readdir(pathOf(address)).catch(() => [])
  },

  async kindOf(address) {
    if (isUrl(address)) return undefined
    const found = await stat(pathOf(address)).catch(() => undefined)
    if (!found) return 'nothing'
    return found.isDirectory() ? 'folder' : 'file'
  },

  async writeText(address, text) {
    const path = pathOf(address)
    const temporary = `${path}.${randomUUID()}.tmp`
    // in one go, so that no handler of a signal ends the process while there is a temporary file
    try {
      makeFolder(dirname(path))
      writeFileSync(temporary, text)
      renameSync(temporary, path)
    } catch (cause) {
      removeQuietly(temporary)
      const code = cause instanceof Error && 'code' in cause ? cause.code : cause
      throw new HeedError('HEED_IO', `${address}: writing failed: ${String(code)}. Check the path and free space.`, {
        cause,
      })
    }
  },

  join: (folder, name) => (isUrl(folder) ? joinUrl(folder, name) : join(pathOf(folder), name)),
}
