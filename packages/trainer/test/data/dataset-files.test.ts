import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { configsOf } from '../../src/data/dataset-configs.ts'
import { filesThatFit, splitsOfDataset } from '../../src/data/dataset-files.ts'

interface Layout {
  name: string
  files: string[]
  readme: string
  config: string | null
  splits: { [split: string]: string[] }
}

const layouts: Layout[] = JSON.parse(readFileSync(new URL('../fixtures/dataset-files.json', import.meta.url), 'utf8'))

/** Hidden files are left out before. */
const visible = (files: string[]): string[] => files.filter(name => !/(?:^|\/)\./.test(name))

const failureOf = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    const { code, message } = error as Error & { code: string }
    return `${code}: ${message}`
  }
  throw new Error('expected an error')
}

describe('files of a split are those that HF datasets takes', () => {
  test.each(layouts.map(layout => [layout.name, layout] as const))('%s', (_, { files, readme, config, splits }) => {
    const { names, filesOf } = splitsOfDataset('x', visible(files), configsOf('x', readme), config ?? undefined)
    expect(names).toEqual(Object.keys(splits))
    expect(Object.fromEntries(names.map(split => [split, filesOf(split).files]))).toEqual(splits)
  })

  test('with the format that most have, and what stands between fields', () => {
    const readme = '---\nconfigs:\n- config_name: a\n  data_files: "*"\n  sep: ";"\n---'
    expect(splitsOfDataset('x', ['a.csv', 'b.csv.gz', 'c.txt'], configsOf('x', readme)).filesOf('train')).toEqual({
      format: 'csv',
      files: ['a.csv', 'b.csv.gz'],
      delimiter: ';',
    })
  })

  test('or those that are named', () => {
    const names = ['a/1.jsonl', 'a/2.jsonl', 'b/1.txt']
    expect(filesThatFit('x', names, ['a/*'])).toEqual({ format: 'json', files: ['a/1.jsonl', 'a/2.jsonl'] })
    expect(filesThatFit('x', names, ['**/1.txt'])).toEqual({ format: 'text', files: ['b/1.txt'] })
  })
})

describe('a data set that cannot be read', () => {
  const files = (names: string[], readme = '', config?: string) =>
    failureOf(() => splitsOfDataset('x', names, configsOf('x', readme), config).filesOf('train'))

  test('has no files of rows, none that fit, or not all', () => {
    expect(files(['a.jpg', 'README.md'])).toBe(
      'HEED_FILE_NOT_FOUND: x: it has no files of rows, expected names that end in parquet, arrow, jsonl, json, csv, ndjson, tsv, txt; its names end in jpg, md.',
    )
    expect(failureOf(() => filesThatFit('x', ['a.csv'], ['b.csv', 'c/*']))).toBe(
      'HEED_FILE_NOT_FOUND: x: no file of rows fits b.csv, c/*, expected at least one.',
    )
    expect(files(['data/train-00000-of-00003.parquet', 'data/train-00002-of-00003.parquet'])).toBe(
      'HEED_FILE_NOT_FOUND: x: of the 3 files like data/train-00000-of-00003.parquet there are 2, expected all of them. Download the others too.',
    )
  })

  test('has no such config, or no default one', () => {
    const readme = '---\nconfigs:\n- config_name: en\n- config_name: fr\n---\n'
    expect(files(['a.csv'], readme, 'de')).toBe('HEED_ARGUMENT_INVALID: x: config is "de", expected one of en, fr.')
    expect(files(['a.csv'], readme)).toBe('HEED_ARGUMENT_INVALID: x: config is undefined, expected one of en, fr.')
    expect(files(['a.csv'], '', 'de')).toBe('HEED_ARGUMENT_INVALID: x: config is "de", expected one of default.')
  })

  test('has a README.md whose header is wrong', () => {
    expect(files(['a.csv'], '---\na: [\n---\n')).toMatch(
      /^HEED_FILE_INVALID: x: README.md: its header is no YAML: .+ Mend its header\.$/,
    )
    expect(files(['a.csv'], '---\nconfigs: en\n---\n')).toBe(
      'HEED_FILE_INVALID: x: README.md: configs is "en", expected a list. Mend its header.',
    )
    expect(files(['a.csv'], '---\nconfigs:\n- data_files: a.csv\n---\n')).toBe(
      'HEED_FILE_INVALID: x: README.md: config_name is undefined, expected a name in each of configs. Mend its header.',
    )
    expect(files(['a.csv'], '---\nconfigs:\n- config_name: en\n  data_files:\n  - split: train\n---\n')).toBe(
      'HEED_FILE_INVALID: x: README.md: data_files of en is [{"split":"train"}], expected paths, or entries with a split and its path. Mend its header.',
    )
  })
})
