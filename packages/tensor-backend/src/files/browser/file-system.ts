import { HeedError } from '../../errors.ts'
import type { ByteSource } from '../byte-source.ts'
import type { AtomicFile } from '../file-system.ts'
import { openUrl } from '../url-source.ts'

function noFiles(path: string, mend: string): HeedError {
  return new HeedError('HEED_IO', `${path}: files cannot be written by path outside Node. ${mend}`)
}

/** A name without a scheme is a URL relative to the page. */
export async function openFile(address: string): Promise<ByteSource> {
  return openUrl(address)
}

export async function createAtomicFile(address: string): Promise<AtomicFile> {
  throw noFiles(address, 'Serialize to bytes and offer those as a download.')
}

export async function listFolder(folder: string): Promise<string[]> {
  throw noFiles(folder, 'Pass the files as a Map of names to Blobs.')
}

export async function deleteFile(path: string): Promise<void> {
  throw noFiles(path, 'Serialize to bytes and offer those as a download.')
}
