import { HeedError, type HubOptions, isHubId, openHubRepository, readText } from '@heed/tensor-backend'
import { folders } from '#folder'
import { type DatasetFiles, filesThatFit, formatNames, formatOf, splitsOfDataset } from './dataset-files.ts'
import type { SplitNames } from './split-slices.ts'

/** What to read of a data set that is a folder or on the hub. */
export interface RepositoryPart {
  /** `train` by default; a part of it, or several, as in HF: `train[:10%]`, `train[100:200]`, `train[-5%:]+test[:50]`. */
  split?: string | undefined
  /** One of the `configs` in the header of its README.md; the default one by default. */
  config?: string | undefined
  /** Files to read instead of a split: paths within the data set, with `*` and `**`. */
  dataFiles?: string | readonly string[]
}

/** Files of a data set, and how to have each of them. */
export interface FoundFiles extends DatasetFiles {
  /** The path or URL of a file, which is downloaded where it is not there. */
  locate(file: string): Promise<string>
}

interface Repository {
  names: readonly string[]
  folder: string
  fetch(names: readonly string[]): Promise<void>
}

/** The splits of a data set, and the files of each. */
export interface FoundSplits extends SplitNames {
  /** Throws HEED_FILE_NOT_FOUND. */
  filesOf(split: string): FoundFiles
}

/**
 * The splits of a folder, or of a data set on the hub; files that `part` names are the split `train`. Throws
 * HEED_ARGUMENT_INVALID, HEED_FILE_NOT_FOUND, HEED_FILE_INVALID, HEED_IO.
 */
export async function findInRepository(location: string, part: RepositoryPart, hub: HubOptions): Promise<FoundSplits> {
  const { names, folder, fetch } = await openRepository(location, hub)
  const locate = async (name: string): Promise<string> => {
    await fetch([name])
    return `${folder}/${/^https?:/.test(folder) ? name.split('/').map(encodeURIComponent).join('/') : name}`
  }
  if (part.dataFiles !== undefined) {
    const files = filesThatFit(location, names, [part.dataFiles].flat() as string[])
    return { where: location, names: ['train'], filesOf: () => ({ ...files, locate }) }
  }
  const readme = names.includes('README.md') ? await readText(await locate('README.md')) : ''
  const configs = readme ? (await import('./dataset-configs.ts')).configsOf(location, readme) : []
  const splits = splitsOfDataset(location, names, configs, part.config)
  return { where: location, names: splits.names, filesOf: split => ({ ...splits.filesOf(split), locate }) }
}

async function openRepository(location: string, hub: HubOptions): Promise<Repository> {
  const names = await folders.tree(location)
  if (names) {
    const visible = names.filter(name => !/(?:^|\/)\./.test(name))
    return { names: visible, folder: location.replace(/\/$/, ''), fetch: async () => {} }
  }
  if (isHubId(location) && location.includes('/') && !formatOf(location))
    return openHubRepository('dataset', location, hub)
  throw new HeedError(
    'HEED_FILE_NOT_FOUND',
    `loadDataset: there is no folder "${location}", expected one of the formats ${formatNames.join(', ')}, a folder, or a data set on the hub as user/name.`,
  )
}
