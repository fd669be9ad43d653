import { stat } from 'node:fs/promises'
import { extname } from 'node:path'
import { isHubId } from '@heed/tensor-backend'

/** What a command says of a data set's parts. */
export interface DatasetChoice {
  split?: string | undefined
  config?: string | undefined
}

/** Whether it names a data set, which is a folder or on the hub, and no file. */
export async function isDataset(name: string, { split, config }: DatasetChoice): Promise<boolean> {
  const found = await stat(name).catch(() => undefined)
  if (found) return found.isDirectory()
  const isMeant = split !== undefined || config !== undefined || extname(name) === ''
  return isMeant && isHubId(name) && name.includes('/')
}
