import { randomUUID } from 'node:crypto'
import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
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

  async writeText(address, text) {
    const path = pathOf(address)
    const temporary = `${path}.${randomUUID()}.tmp`
    try {
      await mkdir(dirname(path), { recursive: true })
      await writeFile(temporary, text)
      await rename(temporary, path)
    } catch (cause) {
      await rm(temporary, { force: true }).catch(() => {})
      const code = cause instanceof Error && 'code' in cause ? cause.code : cause
      throw new HeedError('HEED_IO', `${address}: writing failed: ${String(code)}. Check the path and free space.`, {
        cause,
      })
    }
  },

  join: (folder, name) => (isUrl(folder) ? joinUrl(folder, name) : join(pathOf(folder), name)),
}
