import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type HubOptions, isHubId, openHubRepository } from '@heed/tensor-backend'
import { isRelative, isRemote, neededFiles } from '../hub.ts'

/**
 * The folder of a model: a path or URL as it is; a hub id from HF's cache, after fetching what is missing there. Downloads go
 * on where they stopped and are checked against the hub's hashes. Honours HF_HOME, HF_HUB_CACHE, HF_TOKEN, HF_ENDPOINT,
 * HF_HUB_OFFLINE. Throws HEED_FILE_NOT_FOUND, HEED_FILE_INVALID, HEED_IO.
 */
export async function resolveModel(location: string, options: HubOptions = {}): Promise<string> {
  if (!isHubId(location) || (await exists(location))) return location
  const repository = await openHubRepository('model', location, options)
  await repository.fetch(neededFiles(repository.names))
  return repository.folder
}

/** A path that a file in `folder` gives, as seen from there or else from the working directory; what is neither, as it is. */
export async function locateBeside(folder: string, name: string): Promise<string> {
  if (isRemote(folder)) return isRelative(name) ? new URL(name, `${folder}/`).href : name
  const beside = resolve(folder.startsWith('file:') ? fileURLToPath(folder) : folder, name)
  return (await exists(beside)) ? beside : name
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
