import { HeedError } from '../errors.ts'
import { parseStrictJson } from './strict-json.ts'

/** How a repository on the hub is reached. */
export interface HubOptions {
  /** Branch, tag or commit; `main` by default. */
  revision?: string
  /** `HF_ENDPOINT`, or https://huggingface.co, by default. */
  endpoint?: string
  /** `HF_TOKEN` by default; only gated and private repositories need one. */
  token?: string
  /** HF's cache by default: `HF_HUB_CACHE`, or `hub` in `HF_HOME`, or ~/.cache/huggingface/hub. Not used in a page. */
  cacheDir?: string
  /** Bytes of each file as they come. */
  onDownload?: (progress: { file: string; loaded: number; total: number }) => void
}

export type HubRepositoryKind = 'model' | 'dataset'

/** The files of a model or data set on the hub at one commit. */
export interface HubRepository {
  /** Paths of its files, with `/` between folders. */
  readonly names: readonly string[]
  /** Where its files lie once they are fetched: a folder of the cache; in a page, a URL. */
  readonly folder: string
  /** Brings files to `folder` where they are not there. Throws HEED_FILE_NOT_FOUND, HEED_FILE_INVALID, HEED_IO. */
  fetch(names: readonly string[]): Promise<void>
}

export const DEFAULT_ENDPOINT: string = 'https://huggingface.co'

/** A repository's name, as `gpt2` or `google/flan-t5-small`; what else there is are paths, also of files with weights, and URLs. */
export function isHubId(text: string): boolean {
  return !/\.(?:gguf|safetensors|bin|pt|pth)$/i.test(text) && /^[A-Za-z0-9][\w.-]*(?:\/[A-Za-z0-9][\w.-]*)?$/.test(text)
}

/** Where files of a repository are downloaded from. */
export function filesUrl(kind: HubRepositoryKind, endpoint: string, id: string, revision: string): string {
  return `${endpoint}/${kind === 'dataset' ? 'datasets/' : ''}${id}/resolve/${encodeURIComponent(revision)}`
}

/** Where the hub tells the commit of a revision and its files. */
export function aboutUrl(kind: HubRepositoryKind, endpoint: string, id: string, revision: string): string {
  return `${endpoint}/api/${kind}s/${id}/revision/${encodeURIComponent(revision)}`
}

/** What the hub told; hidden files are left out. Throws HEED_FILE_INVALID when it is not that. */
export function readAbout(text: string, url: string): { sha: string; names: string[] } {
  const about = parseStrictJson(text, url) as { sha?: unknown; siblings?: { rfilename?: unknown }[] } | null
  if (typeof about?.sha !== 'string' || !/^[0-9a-f]{40}$/.test(about.sha) || !Array.isArray(about.siblings)) {
    throw new HeedError('HEED_FILE_INVALID', `${url}: the answer has no commit and list of files, expected both.`)
  }
  const names = about.siblings.map(({ rfilename }) => rfilename).filter(name => typeof name === 'string')
  return { sha: about.sha, names: visibleFiles(names) }
}

/** Paths that stay within their folder, and whose parts are not hidden. */
export function visibleFiles(names: readonly string[]): string[] {
  return names.filter(name => name.split('/').every(part => /^[^.\\\0][^\\\0]*$/.test(part)))
}
