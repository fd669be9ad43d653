import { HeedError } from '@heed/tensor-backend'
import { show } from '../checks.ts'
import type { Config, Splits } from './dataset-configs.ts'
import { unpackedName } from './read-rows.ts'

export const formatNames = ['text', 'json', 'csv', 'parquet', 'arrow'] as const
export type DatasetFormat = (typeof formatNames)[number]

/** Files of a data set that are read together. */
export interface DatasetFiles {
  format: DatasetFormat
  /** Paths within the data set, in order. */
  files: string[]
  /** What stands between the fields of CSV files, where README.md says it. */
  delimiter?: string
}

/** The formats by the ends of names. When files of a split have several, most decide; of as many the last here, as in HF. */
const formats: { [ending: string]: DatasetFormat } = {
  txt: 'text',
  tsv: 'csv',
  ndjson: 'json',
  csv: 'csv',
  json: 'json',
  jsonl: 'json',
  arrow: 'arrow',
  parquet: 'parquet',
}

const endingOf = (name: string): string => /\.([^./]+)$/.exec(unpackedName(name))?.[1]?.toLowerCase() ?? ''

/** The format that a file's name tells. */
export const formatOf = (name: string): DatasetFormat | undefined => formats[endingOf(name)]

/** Files that tell about a data set. */
const descriptions = /(?:^|\/)(?:config|dataset_infos?|dataset_dict|state)\.json$/

const keywords: { [split: string]: string[] } = {
  train: ['train', 'training'],
  validation: ['validation', 'valid', 'dev', 'val'],
  test: ['test', 'testing', 'eval', 'evaluation'],
}

const separator = '[-._ 0-9]'
const folderPatterns = (word: string): string[] => [
  `**/${word}/**`,
  `**/${word}${separator}*/**`,
  `**/*${separator}${word}/**`,
  `**/*${separator}${word}${separator}*/**`,
]
const namePatterns = (word: string): string[] => [`**/${word}${separator}*`, `**/*${separator}${word}${separator}*`]

/** The splits of a data set. */
export interface DatasetSplits {
  names: string[]
  /** The files of one of them. Throws HEED_FILE_NOT_FOUND. */
  filesOf(split: string): DatasetFiles
}

/**
 * The splits of a data set and their files, as HF's `load_dataset` finds them: by the `configs` in the header of its README.md,
 * else by names such as data/train-00000-of-00002.parquet, test/part.csv or valid.jsonl. Throws HEED_ARGUMENT_INVALID
 * when there is no such config, HEED_FILE_INVALID, HEED_FILE_NOT_FOUND.
 */
export function splitsOfDataset(
  where: string,
  names: readonly string[],
  configs: readonly Config[],
  config?: string | undefined,
): DatasetSplits {
  const data = names.filter(name => formatOf(name) && !descriptions.test(name))
  const { folder, splits, delimiter } = chosenConfig(where, configs, config)
  const inside = data.filter(name => name.startsWith(folder)).map(name => name.slice(folder.length))
  const found = splits ?? splitsByName(inside)
  if (found.size === 0) throw noFiles(where, names)
  return {
    names: [...found.keys()],
    filesOf(split) {
      const files = filesOfPatterns(where, inside, found.get(split)!)
      checkShards(where, files)
      return { ...inOneFormat(files.map(name => folder + name)), ...(delimiter === undefined ? {} : { delimiter }) }
    },
  }
}

/** The files of a data set that fit patterns, where `*` stands for a part of a name and `**` for any folders. Throws HEED_FILE_NOT_FOUND. */
export function filesThatFit(where: string, names: readonly string[], patterns: readonly string[]): DatasetFiles {
  const data = names.filter(name => formatOf(name))
  if (data.length === 0) throw noFiles(where, names)
  return inOneFormat(filesOfPatterns(where, data, patterns))
}

function noFiles(where: string, names: readonly string[]): HeedError {
  const endings = [...new Set(names.map(endingOf))].filter(ending => ending !== '')
  return new HeedError(
    'HEED_FILE_NOT_FOUND',
    `${where}: it has no files of rows, expected names that end in ${Object.keys(formats).reverse().join(', ')}; its names end in ${endings.join(', ') || 'nothing'}.`,
  )
}

function filesOfPatterns(where: string, names: readonly string[], patterns: readonly string[]): string[] {
  const files = new Set<string>()
  for (const pattern of patterns) for (const name of fitting(names, pattern)) files.add(name)
  if (files.size > 0) return [...files]
  throw new HeedError(
    'HEED_FILE_NOT_FOUND',
    `${where}: no file of rows fits ${patterns.join(', ')}, expected at least one.`,
  )
}

function fitting(names: readonly string[], pattern: string): string[] {
  const expression = globExpression(pattern)
  const isSpecial = (name: string): boolean => /(?:^|\/)__[^/]*\//.test(name) && !pattern.includes('__')
  return names.filter(name => expression.test(name) && !isSpecial(name)).sort()
}

/** `*`, `**`, `?` and `[...]` of a pattern as a regular expression. */
function globExpression(pattern: string): RegExp {
  const parts = pattern.replace(/^\.\//, '').matchAll(/\*\*\/|\*+|\?|\[[^\]]+\]|[^*?[]+|\[/g)
  const source = Array.from(parts, ([part]) => {
    if (part === '**/') return '(?:.*/)?'
    if (part === '?') return '[^/]'
    if (part.startsWith('*')) return part === '*' ? '[^/]*' : '.*'
    if (part.startsWith('[') && part.length > 1) return part.replace(/^\[!/, '[^').replaceAll('\\', '\\\\')
    return part.replaceAll(/[.+^${}()|[\]\\]/g, '\\$&')
  })
  return new RegExp(`^${source.join('')}$`)
}

/** The splits that names tell: of shards first, then of folders, then of files; else all is for training. */
function splitsByName(names: readonly string[]): Splits {
  const shardNames = names.map(name => /^data\/([^/]+)-\d{5}-of-\d{5}[^/]*\.[^/]*$/.exec(name)?.[1])
  const sharded = [...new Set(shardNames.filter(split => split !== undefined))].sort()
  if (sharded.length > 0) {
    const known = Object.keys(keywords)
    const order = [
      ...known.filter(split => sharded.includes(split)),
      ...sharded.filter(split => !known.includes(split)),
    ]
    return new Map(
      order.map(split => [split, [`data/${split}-[0-9][0-9][0-9][0-9][0-9]-of-[0-9][0-9][0-9][0-9][0-9]*.*`]]),
    )
  }
  for (const patternsOf of [folderPatterns, namePatterns]) {
    const all = Object.entries(keywords).map(([split, words]) => [split, words.flatMap(patternsOf)] as const)
    const found = all.filter(([, patterns]) => patterns.some(pattern => fitting(names, pattern).length > 0))
    if (found.length > 0) return new Map(found)
  }
  return new Map(names.length > 0 ? [['train', ['**']]] : [])
}

/** Files of the format that most of them have. */
function inOneFormat(files: readonly string[]): { format: DatasetFormat; files: string[] } {
  const rank = (ending: string): number =>
    files.filter(name => endingOf(name) === ending).length + Object.keys(formats).indexOf(ending) / 100
  const [best] = Object.keys(formats).sort((a, b) => rank(b) - rank(a))
  const format = formats[best!]!
  return { format, files: files.filter(name => formatOf(name) === format) }
}

/** Throws HEED_FILE_NOT_FOUND when files number themselves 00000-of-00003 and some are not there. */
function checkShards(where: string, files: readonly string[]): void {
  for (const name of files) {
    const [, start, total, end] = /^(.*)\d{5}-of-(\d{5})(.*)$/.exec(name) ?? []
    if (total === undefined) continue
    const present = files.filter(other => other.startsWith(start!) && other.endsWith(`-of-${total}${end}`)).length
    if (present >= Number(total)) continue
    throw new HeedError(
      'HEED_FILE_NOT_FOUND',
      `${where}: of the ${Number(total)} files like ${name} there are ${present}, expected all of them. Download the others too.`,
    )
  }
}

function chosenConfig(where: string, configs: readonly Config[], name: string | undefined): Config {
  if (configs.length === 0 && (name === undefined || name === 'default')) {
    return { name: 'default', folder: '', splits: undefined, delimiter: undefined, isDefault: true }
  }
  const chosen = configs.find(config => (name === undefined ? config.isDefault : config.name === name))
  if (chosen) return chosen
  const known = configs.length === 0 ? 'default' : configs.map(config => config.name).join(', ')
  throw new HeedError('HEED_ARGUMENT_INVALID', `${where}: config is ${show(name)}, expected one of ${known}.`)
}
