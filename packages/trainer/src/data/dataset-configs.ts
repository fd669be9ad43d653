import { HeedError } from '@heed/tensor-backend'
import { parse } from 'yaml'
import { show } from '../checks.ts'

/** Patterns of files by split. */
export type Splits = Map<string, string[]>

/** One of the `configs` that the header of a data set's README.md may list. */
export interface Config {
  name: string
  /** Its folder within the data set, with a `/` at its end, or nothing. */
  folder: string
  /** Found by the names of the files when left out. */
  splits: Splits | undefined
  delimiter: string | undefined
  isDefault: boolean
}

/** The `configs` in the header of README.md. Throws HEED_FILE_INVALID. */
export function configsOf(where: string, readme: string): Config[] {
  const header = /^---\r?\n([\s\S]*?)\r?\n---(?:\r?\n|$)/.exec(readme)?.[1] ?? ''
  const invalid = (reason: string, cause?: unknown): HeedError =>
    new HeedError('HEED_FILE_INVALID', `${where}: README.md: ${reason}. Mend its header.`, { cause })
  let content: unknown
  try {
    content = parse(header)
  } catch (cause) {
    throw invalid(`its header is no YAML: ${(cause as Error).message.split('\n')[0]}`, cause)
  }
  const configs = (content as { configs?: unknown } | null)?.configs ?? []
  if (!Array.isArray(configs)) throw invalid(`configs is ${show(configs)}, expected a list`)
  return configs.map((config: { [key: string]: unknown } | null) => {
    const {
      config_name: name,
      data_files: files,
      data_dir: folder,
      sep,
      delimiter = sep,
      default: isDefault,
    } = config ?? {}
    if (typeof name !== 'string') throw invalid(`config_name is ${show(name)}, expected a name in each of configs`)
    const splits = files === undefined ? undefined : splitsOf(files)
    if (splits === null) {
      throw invalid(`data_files of ${name} is ${show(files)}, expected paths, or entries with a split and its path`)
    }
    return {
      name,
      folder: typeof folder === 'string' ? `${folder.replace(/^\.\//, '').replace(/\/+$/, '')}/` : '',
      splits,
      delimiter: typeof delimiter === 'string' ? delimiter : undefined,
      isDefault: isDefault === true || name === 'default' || configs.length === 1,
    }
  })
}

/** `data_files` in each of its forms; null when it is none of them. */
function splitsOf(files: unknown): Splits | null {
  const isPaths = (value: unknown): value is string | string[] => [value].flat().every(path => typeof path === 'string')
  if (isPaths(files)) return new Map([['train', [files].flat()]])
  if (!Array.isArray(files)) return null
  const entries = files.map(entry => [entry?.split, entry?.path] as const)
  if (!entries.every(([split, path]) => typeof split === 'string' && isPaths(path))) return null
  return new Map(entries.map(([split, path]) => [split, [path].flat()]))
}
