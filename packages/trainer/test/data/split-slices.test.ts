import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { loadDataset, streamDataset } from '../../src/data/load-dataset.ts'
import { parseSplit, rangeOf } from '../../src/data/split-slices.ts'
import { readTextPieces, type TextPieces } from '../../src/data/text-pieces.ts'
import { temporaryFolder } from '../temporary-folder.ts'

interface Case {
  spec: string
  sizes: { [split: string]: number }
  /** Null where `datasets` refuses it. */
  rows: [split: string, from: number, to: number][] | null
}

const path = (name: string): string => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url))
const cases: Case[] = JSON.parse(readFileSync(path('split-slices.json'), 'utf8'))

test.each(cases.filter(({ rows }) => rows))(
  '$spec of $sizes are the rows that HF datasets takes',
  ({ spec, sizes, rows }) => {
    const slices = parseSplit(spec, { where: 'x', names: Object.keys(sizes) })
    expect(slices.map(slice => [slice.split, ...rangeOf(slice, sizes[slice.split]!)])).toEqual(
      rows!.map(([split, from, to]) => [split, from, Math.max(from, to)]),
    )
  },
)

test('what is no slice, or of a split that is not there, is refused with the splits that are', () => {
  const failure = (spec: string): string => {
    try {
      parseSplit(spec, { where: 'x', names: ['train', 'test'] })
    } catch (error) {
      return (error as Error).message
    }
    return ''
  }
  for (const spec of [
    '',
    'train[',
    'train[:10',
    'train[10]',
    'train[1.5%:]',
    'train[a:b]',
    'train[:1]]',
    'train++test',
  ]) {
    expect(failure(spec)).toBe(
      `x: split is "${spec}", expected a name or some rows of it, such as train[:10%], train[100:200] or train[-5%:]+test, ` +
        'of the splits train, test.',
    )
  }
  expect(failure('train+dev[:5]')).toBe('x: split is "dev", expected one of train, test.')
  expect(failure('all[:5]')).toBe('x: split is "all", expected one of train, test.')
  expect(failure('train[:101%]')).toBe('x: split is "train[:101%]", expected percentages from -100 to 100.')
  for (const spec of ['train[:5](closest)', 'train[:5%](up)', 'train()']) {
    expect(failure(spec)).toBe(
      `x: split is "${spec}", expected nothing but (closest) or (pct1_dropremainder) after percentages.`,
    )
  }
  const [slice] = parseSplit('train[:7%](pct1_dropremainder)', { where: 'x', names: ['train'] })
  expect(() => rangeOf(slice!, 99)).toThrow(
    'split "train": it has 99 rows, expected 100 at least for pct1_dropremainder, which would leave none. Leave it out.',
  )
})

test('files have one split, of which CSV columns are numbers by all of their rows', async () => {
  const folder = temporaryFolder()
  const dataFiles = `${folder}/a.csv`
  writeFileSync(dataFiles, 'n,m\n1,1\n2,2\nx,3\n')
  const rows = async (split: string): Promise<unknown[]> => [...(await loadDataset('csv', { dataFiles, split }))]
  expect(await rows('train[:1]+train[-1:]')).toEqual([
    { n: '1', m: 1 },
    { n: 'x', m: 3 },
  ])
  expect(await rows('train[:50%]')).toEqual([
    { n: '1', m: 1 },
    { n: '2', m: 2 },
  ])
  await expect(rows('test')).rejects.toThrow('loadDataset: split is "test", expected one of train.')
})

test('texts are cut into lines by a slice, which stay one document a file', async () => {
  const folder = temporaryFolder()
  const files = ['a', 'b'].map(name => `${folder}/${name}.txt`)
  for (const [i, file] of files.entries()) writeFileSync(file, `${i}1\n${i}2\n\n${i}3`)
  const pieces: TextPieces[] = []
  for await (const piece of readTextPieces('text', files, 'text', 'train[1:6]')) pieces.push(piece)
  expect(pieces).toEqual([
    { texts: ['02\n\n03\n'], endsLast: true },
    { texts: ['11\n12\n'], endsLast: true },
  ])
})

test('Parquet files are counted by their footers', async () => {
  const parquet = path('rows/zstd.parquet')
  const all = await loadDataset('parquet', { dataFiles: [parquet, parquet] })
  const stream = streamDataset('parquet', { dataFiles: [parquet, parquet], split: 'train[-1:]' })
  expect([...(await stream.toDataset())]).toEqual([all.get(all.length - 1)])
})
