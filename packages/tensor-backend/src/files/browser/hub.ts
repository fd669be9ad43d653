import {
  aboutUrl,
  DEFAULT_ENDPOINT,
  filesUrl,
  type HubOptions,
  type HubRepository,
  type HubRepositoryKind,
  readAbout,
} from '../hub.ts'
import { readText } from '../open-byte-source.ts'

/** A repository whose files the browser fetches, and caches, as they are read. Throws HEED_FILE_NOT_FOUND, HEED_FILE_INVALID, HEED_IO. */
export async function openHubRepository(
  kind: HubRepositoryKind,
  id: string,
  { revision = 'main', endpoint = DEFAULT_ENDPOINT, token }: HubOptions = {},
): Promise<HubRepository> {
  const url = aboutUrl(kind, endpoint, id, revision)
  const { sha, names } = readAbout(
    await readText(url, token ? { headers: { Authorization: `Bearer ${token}` } } : {}),
    url,
  )
  return { names, folder: filesUrl(kind, endpoint, id, sha), fetch: async () => {} }
}
