import { HeedError } from '../../errors.ts'

/**
 * Addresses `opfs:/runs/story/model.safetensors`: files that the browser keeps for this site alone, through reloads
 * (the origin private file system, https://fs.spec.whatwg.org). Pages and workers read and write them like paths in Node.
 */
export const privateScheme = 'opfs:'

export function isPrivate(address: string): boolean {
  return address.startsWith(privateScheme)
}

const partsOf = (address: string): string[] => address.slice(privateScheme.length).split('/').filter(Boolean)

/** The name of the file or folder at an address, and the address of the folder it is in. */
export function splitPrivate(address: string): { folder: string; name: string } {
  const parts = partsOf(address)
  const name = parts.pop()
  if (name === undefined) {
    throw new HeedError('HEED_ARGUMENT_INVALID', `address is "${address}", expected a name behind opfs:/. Add one.`)
  }
  return { folder: `${privateScheme}/${parts.join('/')}`, name }
}

/** The folder at an address; with `create` it is made, with those it is in. Throws HEED_FILE_NOT_FOUND, HEED_IO. */
export async function openPrivateFolder(
  address: string,
  { create = false }: { create?: boolean } = {},
): Promise<FileSystemDirectoryHandle> {
  return privateCall(address, async () => {
    let folder = await navigator.storage.getDirectory()
    for (const name of partsOf(address)) folder = await folder.getDirectoryHandle(name, { create })
    return folder
  })
}

/** Runs a call on private files; its failure becomes HEED_FILE_NOT_FOUND or HEED_IO. */
export async function privateCall<T>(address: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (cause) {
    if (cause instanceof HeedError) throw cause
    const name = cause instanceof Error ? cause.name : String(cause)
    if (name === 'NotFoundError' || name === 'TypeMismatchError') {
      throw new HeedError('HEED_FILE_NOT_FOUND', `${address}: there is no such file or folder. Check the address.`, {
        cause,
      })
    }
    const mend =
      name === 'QuotaExceededError'
        ? 'The browser gives this site no more space: delete something it keeps.'
        : 'Private windows and pages without https keep no files.'
    throw new HeedError('HEED_IO', `${address}: ${name}. ${mend}`, { cause })
  }
}
