import { HeedError } from '../../errors.ts'
import { type ByteSource, blobSource } from '../byte-source.ts'
import type { AtomicFile } from '../file-system.ts'
import { openUrl } from '../url-source.ts'
import { isPrivate, openPrivateFolder, privateCall, splitPrivate } from './private-folder.ts'

function noFiles(path: string, mend: string): HeedError {
  return new HeedError('HEED_IO', `${path}: a page writes only below opfs:/, the files it keeps for itself. ${mend}`)
}

/** An `opfs:` address, or a URL; a name without a scheme is a URL relative to the page. */
export async function openFile(address: string): Promise<ByteSource> {
  if (!isPrivate(address)) return openUrl(address)
  const { folder, name } = splitPrivate(address)
  const handle = await openPrivateFolder(folder)
  const file = await privateCall(address, async () => (await handle.getFileHandle(name)).getFile())
  return { ...blobSource(file), name: address }
}

/** Browsers rename files of this site, which TypeScript's library does not know yet (https://fs.spec.whatwg.org/#api-filesystemhandle). */
type MovableFile = FileSystemFileHandle & { move(name: string): Promise<void> }

/** A file under a temporary name, which takes its own when it is complete. */
export async function createAtomicFile(address: string): Promise<AtomicFile> {
  if (!isPrivate(address)) throw noFiles(address, 'Write there, or serialize to bytes and offer those as a download.')
  const { folder, name } = splitPrivate(address)
  const temporary = `.${name}.${crypto.randomUUID()}.tmp`
  const parent = await openPrivateFolder(folder, { create: true })
  const attempt = <T>(call: () => Promise<T>): Promise<T> => privateCall(address, call)
  const file = await attempt(() => parent.getFileHandle(temporary, { create: true }))
  const stream = await attempt(() => file.createWritable())
  return {
    write: bytes => attempt(() => stream.write(bytes as Uint8Array<ArrayBuffer>)),
    finish: () => attempt(() => stream.close()),
    commit: () => attempt(() => (file as MovableFile).move(name)),
    async discard() {
      await stream.abort().catch(() => {})
      await parent.removeEntry(temporary).catch(() => {})
    },
  }
}

export async function makeFolder(folder: string): Promise<void> {
  if (!isPrivate(folder)) throw noFiles(folder, 'Choose a folder there.')
  await openPrivateFolder(folder, { create: true })
}

export async function listFolder(folder: string): Promise<string[]> {
  if (!isPrivate(folder)) throw noFiles(folder, 'Pass the files as a Map of names to Blobs.')
  const handle = await openPrivateFolder(folder)
  return privateCall(folder, async () => {
    const names: string[] = []
    for await (const name of handle.keys()) names.push(name)
    return names
  })
}

export async function deleteFile(path: string): Promise<void> {
  if (!isPrivate(path)) throw noFiles(path, 'Only those can be deleted.')
  const { folder, name } = splitPrivate(path)
  const handle = await openPrivateFolder(folder)
  await privateCall(path, () => handle.removeEntry(name))
}
