import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { loadDataset, type Row, streamDataset } from '../../src/data/load-dataset.ts'
import { temporaryFolder } from '../temporary-folder.ts'

const folder = fileURLToPath(new URL('../fixtures/arrow', import.meta.url))
const expected: Record<string, Row[]> = JSON.parse(readFileSync(`${folder}/expected.json`, 'utf8'))

const longRows = Array.from({ length: 60 }, (_, i) => ({ text: `${i} of ${i % 7}, `.repeat(400) }))

const load = async (name: string): Promise<Row[]> => [
  ...(await loadDataset('arrow', { dataFiles: `${folder}/${name}` })),
]

describe('rows of an Arrow file are those that pyarrow reads', () => {
  test('of a file with every kind of column', async () => {
    const rows = await load('kinds.arrow')
    const shown = rows.map(row => ({
      ...row,
      bytes: [...(row.bytes as Uint8Array)],
      time: (row.time as Date).toISOString(),
    }))
    expect(shown).toEqual(expected['kinds.arrow'])
  })

  test('of a stream whose word list grows between its batches', async () => {
    expect(await load('growing.arrow')).toEqual(expected['growing.arrow'])
  })

  test('of the files that save_to_disk writes', async () => {
    expect(await load('data-*.arrow')).toEqual(expected['data-*.arrow'])
  })

  test.each(['lz4', 'zstd'])('of a file packed by %s', async codec => {
    expect(await load(`${codec}.feather`)).toEqual(longRows)
  })

  test('one batch after the other, and again from the start', async () => {
    const stream = streamDataset('arrow', { dataFiles: `${folder}/lz4.feather` })
    for (let pass = 0; pass < 2; pass++) {
      expect([...(await stream.skip(48).take(4).toDataset())]).toEqual(longRows.slice(48, 52))
    }
  })
})

describe('an Arrow file that cannot be read', () => {
  const messageOf = async (content: Uint8Array | string): Promise<string> => {
    const file = `${temporaryFolder()}/x.arrow`
    writeFileSync(file, content)
    const error = await loadDataset('arrow', { dataFiles: file }).catch(error => error)
    return `${error.code}: ${error.message?.replaceAll(file, 'FILE')}`
  }

  test('is refused wherever it was cut off, except between two batches of a stream', async () => {
    const whole = readFileSync(`${folder}/kinds.arrow`)
    for (let length = 6; length < whole.length; length += 111) {
      expect(await messageOf(whole.subarray(0, length))).toBe(
        'HEED_FILE_INVALID: FILE: it cannot be read as Arrow: it is cut off, damaged, or something else.',
      )
    }
    const stream = readFileSync(`${folder}/data-00000-of-00002.arrow`)
    for (let length = 1; length < stream.length - 8; length += 37) {
      expect(await messageOf(stream.subarray(0, length))).toBe(
        'HEED_FILE_INVALID: FILE: it cannot be read as Arrow: it is cut off, damaged, or something else.',
      )
    }
  })

  test('says what it is instead', async () => {
    expect(await messageOf('')).toBe('HEED_FILE_INVALID: FILE: it cannot be read as Arrow: it has no schema.')
    expect(await messageOf('{"text": "not Arrow at all"}\n')).toBe(
      'HEED_FILE_INVALID: FILE: it cannot be read as Arrow: it is cut off, damaged, or something else.',
    )
    expect(await messageOf('FEA1 and more')).toBe(
      'HEED_FILE_INVALID: FILE: it cannot be read as Arrow: it is Feather of version 1, expected version 2. Write it again with a pyarrow of today.',
    )
  })

  test.each(['lz4', 'zstd'])('does no harm when it is packed by %s and damaged', async codec => {
    const whole = readFileSync(`${folder}/${codec}.feather`)
    for (let at = 0; at < whole.length; at += 131) {
      const read = await messageOf(whole.map((byte, i) => (i === at ? byte ^ 255 : byte)))
      expect(read).toMatch(/^(undefined: undefined|HEED_FILE_INVALID: FILE: it cannot be read as Arrow: .+\.)$/)
    }
  })
})
