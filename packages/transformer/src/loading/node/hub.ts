import { stat } from 'node:fs/promises'
import { type HubOptions, isHubId, openHubRepository } from '@heed/tensor-backend'
import { neededFiles } from '../hub.ts'

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

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
