import { DEFAULT_ENDPOINT, type HubOptions, isHubId } from '@heed/tensor-backend'
import { isRelative } from '../hub.ts'

/** Where a model lies: a URL as it is, a hub id as the URL of its folder, whose files the browser fetches and caches. */
export async function resolveModel(
  location: string,
  { revision = 'main', endpoint = DEFAULT_ENDPOINT }: HubOptions = {},
): Promise<string> {
  return isHubId(location) ? `${endpoint}/${location}/resolve/${encodeURIComponent(revision)}` : location
}

/** The address that a file in `folder` gives by `./` or `../`; what is no such path, as it is. */
export async function locateBeside(folder: string, name: string): Promise<string> {
  return isRelative(name) ? new URL(name, new URL(`${folder}/`, location.href)).href : name
}
