import { HeedError } from '../errors.ts'

/** `opfs:/folder/file`: what the browser keeps for this site alone (the origin private file system). */
export function isPrivate(address: string): boolean {
  return address.startsWith('opfs:')
}

async function folderOf(address: string, create: boolean): Promise<[FileSystemDirectoryHandle, string]> {
  const parts = address.slice('opfs:'.length).split('/').filter(Boolean)
  const name = parts.pop()!
  let folder = await navigator.storage.getDirectory()
  for (const part of parts) folder = await folder.getDirectoryHandle(part, { create })
  return [folder, name]
}

function failure(address: string, action: string, cause: unknown): HeedError {
  const reason = cause instanceof Error ? cause.name : String(cause)
  return new HeedError(
    'HEED_IO',
    `${address}: ${action} failed: ${reason}. Check that the browser gives this site space and keeps its files.`,
    { cause },
  )
}

/** The bytes of a file, or undefined if there is none. Throws HEED_IO. */
export async function readPrivate(address: string): Promise<Uint8Array | undefined> {
  try {
    const [folder, name] = await folderOf(address, false)
    return new Uint8Array(await (await (await folder.getFileHandle(name)).getFile()).arrayBuffer())
  } catch (cause) {
    if (cause instanceof Error && cause.name === 'NotFoundError') return undefined
    throw failure(address, 'reading', cause)
  }
}

/** Names of what is in a folder; none where there is no such folder. Throws HEED_IO. */
export async function listPrivate(address: string): Promise<string[]> {
  try {
    const [parent, name] = await folderOf(address, false)
    const names: string[] = []
    for await (const entry of (await parent.getDirectoryHandle(name)).keys()) names.push(entry)
    return names
  } catch (cause) {
    if (cause instanceof Error && cause.name === 'NotFoundError') return []
    throw failure(address, 'reading', cause)
  }
}

/** Writes under a temporary name and renames. Throws HEED_IO. */
export async function writePrivate(address: string, text: string): Promise<void> {
  try {
    const [folder, name] = await folderOf(address, true)
    const file = await folder.getFileHandle(`.${name}.${crypto.randomUUID()}.tmp`, { create: true })
    const stream = await file.createWritable()
    await stream.write(text)
    await stream.close()
    // browsers rename files of this site, which TypeScript's library does not know yet
    await (file as FileSystemFileHandle & { move(name: string): Promise<void> }).move(name)
  } catch (cause) {
    throw failure(address, 'writing', cause)
  }
}
