import { createAtomicFile } from '#file-system'
import type { AtomicFile } from './file-system.ts'

/** Where a writer sends its bytes, in order. */
export type WriteBytes = (bytes: Uint8Array) => Promise<void>

/** One file of a group: its path, and what writes its content. */
export interface PendingFile {
  readonly path: string
  content(write: WriteBytes): Promise<void>
}

/**
 * Writes a group of files so that a reader never meets a half-written one: all under temporary names beside
 * their own, flushed to the disk, and renamed when every one is complete. On any error nothing new stays.
 * Throws HEED_IO, and what `content` throws.
 */
export async function writeFilesAtomic(files: Iterable<PendingFile>): Promise<void> {
  const pending: AtomicFile[] = []
  try {
    for (const { path, content } of files) {
      const file = await createAtomicFile(path)
      pending.push(file)
      await content(bytes => file.write(bytes))
      await file.finish()
    }
    for (const file of pending) await file.commit()
  } catch (error) {
    for (const file of pending) await file.discard()
    throw error
  }
}

/** Writes text (as UTF-8) or bytes to one file, whole or not at all. Throws HEED_IO. */
export async function writeFileAtomic(path: string, content: string | Uint8Array): Promise<void> {
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content
  await writeFilesAtomic([{ path, content: write => write(bytes) }])
}
