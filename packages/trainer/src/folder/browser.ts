import { HeedError } from '@heed/tensor-backend'
import type { FolderAccess } from './folder.ts'
import type { InterruptSignal } from './node.ts'

function refuse(folder: string): never {
  throw new HeedError(
    'HEED_ARGUMENT_INVALID',
    `TrainingArguments: outputDir is "${folder}", expected none: a page has no folders. ` +
      'Leave outputDir out, and take the weights from model.stateDict() after training.',
  )
}

export const folders: FolderAccess = {
  list: async folder => refuse(folder),
  make: async folder => refuse(folder),
  remove: async folder => refuse(folder),
  publish: async folder => refuse(folder),
  append: async file => refuse(file),
  lock: async folder => refuse(folder),
}

export function memoryInUse(): number | undefined {
  return undefined
}

/** Never set: a page stops a run by its own AbortController. */
export function interruptSignal(): InterruptSignal {
  return { signal: new AbortController().signal, release: () => {} }
}
