import { DEFAULT_ENDPOINT, type HubOptions, isHubId } from '@heed/tensor-backend'

/** Where a model lies: a URL as it is, a hub id as the URL of its folder, whose files the browser fetches and caches. */
export async function resolveModel(
  location: string,
  { revision = 'main', endpoint = DEFAULT_ENDPOINT }: HubOptions = {},
): Promise<string> {
  return isHubId(location) ? `${endpoint}/${location}/resolve/${encodeURIComponent(revision)}` : location
}
