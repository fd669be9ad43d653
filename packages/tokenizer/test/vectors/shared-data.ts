import { existsSync, readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { test } from 'vitest'

/** Other people's files, which are not in the repository: a folder beside it, for those who have it. */
const root = new URL('../../../../../shared/data/', import.meta.url)

export function readShared(path: string): Buffer {
  const bytes = readFileSync(new URL(path, root))
  return path.endsWith('gz') ? gunzipSync(bytes) : bytes
}

export function readSharedText(path: string): string {
  return readShared(path).toString('utf8')
}

export function readSharedJson<T>(path: string): T {
  return JSON.parse(readSharedText(path))
}

/** A test that needs files of that folder; without them it is skipped, and its title says for want of which. */
export function testWith(paths: readonly string[], title: string, run: () => void | Promise<void>): void {
  const missing = paths.filter(path => !existsSync(new URL(path, root)))
  const reason = missing.length > 0 ? ` (skipped: no ../shared/data/${missing.join(', ')})` : ''
  test.skipIf(missing.length > 0)(title + reason, run)
}
