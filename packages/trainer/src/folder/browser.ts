import { HeedError, ifFound, openPrivateFolder, privateCall, splitPrivate } from '@heed/tensor-backend'
import type { FolderAccess } from './folder.ts'
import type { InterruptSignal } from './node.ts'

/** In a folder while it is being filled: until it goes, the folder is not listed. */
const unfinishedMark = '.unfinished'

function checkPrivate(address: string): void {
  if (address.startsWith('opfs:')) return
  throw new HeedError(
    'HEED_ARGUMENT_INVALID',
    `TrainingArguments: outputDir is "${address}", expected an address like opfs:/runs/story: a page has no other folders. ` +
      'Name one, or leave outputDir out and take the weights from model.stateDict() after training.',
  )
}

/** Names of what is complete in a folder. */
async function listFinished(folder: FileSystemDirectoryHandle): Promise<string[]> {
  const names: string[] = []
  for await (const [name, entry] of folder.entries()) {
    const isFinished = entry.kind === 'file' || !(await hasMark(entry as FileSystemDirectoryHandle))
    if (isFinished) names.push(name)
  }
  return names
}

async function hasMark(folder: FileSystemDirectoryHandle): Promise<boolean> {
  for await (const name of folder.keys()) if (name === unfinishedMark) return true
  return false
}

async function writeFile(folder: FileSystemDirectoryHandle, name: string, content: Blob): Promise<void> {
  const stream = await (await folder.getFileHandle(name, { create: true })).createWritable()
  await stream.write(content)
  await stream.close()
}

/** The folders below `opfs:/`, which the browser keeps for this site. */
export const folders: FolderAccess = {
  async list(folder) {
    checkPrivate(folder)
    const handle = await ifFound(() => openPrivateFolder(folder))
    return handle ? privateCall(folder, () => listFinished(handle)) : []
  },

  async tree() {
    return undefined
  },

  async make(folder) {
    checkPrivate(folder)
    await openPrivateFolder(folder, { create: true })
  },

  async remove(address) {
    checkPrivate(address)
    const { folder, name } = splitPrivate(address)
    await ifFound(async () => {
      const parent = await openPrivateFolder(folder)
      await privateCall(address, () => parent.removeEntry(name, { recursive: true }))
    })
  },

  // Browsers rename no folders: the files are copied behind a mark, and the removal of the mark is the renaming.
  async publish(from, to) {
    const source = await openPrivateFolder(from)
    await folders.remove(to)
    const target = await openPrivateFolder(to, { create: true })
    await privateCall(to, async () => {
      await writeFile(target, unfinishedMark, new Blob([]))
      for await (const [name, entry] of source.entries()) {
        if (name !== unfinishedMark) await writeFile(target, name, await (entry as FileSystemFileHandle).getFile())
      }
      await target.removeEntry(unfinishedMark)
    })
    await folders.remove(from)
  },

  async append(address, content) {
    checkPrivate(address)
    const { folder, name } = splitPrivate(address)
    const parent = await openPrivateFolder(folder, { create: true })
    await privateCall(address, async () => {
      const file = await parent.getFileHandle(name, { create: true })
      const stream = await file.createWritable({ keepExistingData: true })
      await stream.write({ type: 'write', position: (await file.getFile()).size, data: content as BlobPart })
      await stream.close()
    })
  },

  async lock(folder) {
    checkPrivate(folder)
    return new Promise((resolve, reject) => {
      const refused = (): HeedError =>
        new HeedError(
          'HEED_IO',
          `${folder}: another tab is training in this folder, expected no other run. Close it, or choose another outputDir.`,
        )
      navigator.locks
        .request(`heed ${folder}`, { ifAvailable: true }, granted => {
          if (!granted) return reject(refused())
          return new Promise<void>(release => resolve(async () => release()))
        })
        .catch(reject)
    })
  },
}

export function memoryInUse(): number | undefined {
  return undefined
}

/** Never set: a page stops a run by its own AbortController. */
export function interruptSignal(): InterruptSignal {
  return { signal: new AbortController().signal, release: () => {} }
}
