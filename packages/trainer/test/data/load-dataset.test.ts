import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { concatenateDatasets, Dataset } from '../../src/data/dataset.ts'
import { type LoadDatasetOptions, loadDataset, type Row, streamDataset } from '../../src/data/load-dataset.ts'
import { IterableDataset, interleaveDatasets } from '../../src/data/stream.ts'
import { temporaryFolder } from '../temporary-folder.ts'

const folder = fileURLToPath(new URL('../fixtures/rows', import.meta.url))
const expected: Record<string, Row[]> & { interleaved: Record<string, number[]> } = JSON.parse(
  readFileSync(`${folder}/expected.json`, 'utf8'),
)

describe('rows of a file are those that HF datasets reads', () => {
  test.each([
    ['snappy.parquet', 'parquet', {}],
    ['zstd.parquet', 'parquet', {}],
    ['plain.jsonl', 'json', {}],
    ['packed.jsonl.gz', 'json', {}],
    ['packed.jsonl.zst', 'json', {}],
    ['frames.jsonl.zst', 'json', {}],
    ['plain.csv', 'csv', {}],
    ['plain.tsv', 'csv', {}],
    ['poem.txt by line', 'text', { sampleBy: 'line' }],
    ['poem.txt by paragraph', 'text', { sampleBy: 'paragraph' }],
    ['poem.txt by document', 'text', { sampleBy: 'document' }],
  ] as const)('%s', async (name, format, options: Partial<LoadDatasetOptions>) => {
    const dataset = await loadDataset(format, { dataFiles: `${folder}/${name.split(' ')[0]}`, ...options })
    expect([...dataset]).toEqual(expected[name])
  })

  test('also as a stream, in part and again from the start', async () => {
    const stream = streamDataset('json', { dataFiles: `${folder}/packed.jsonl.gz` })
    const first: Row[] = []
    for await (const row of stream.take(3)) first.push(row)
    expect(first).toEqual(expected['plain.jsonl']!.slice(0, 3))
    expect((await stream.toDataset()).length).toBe(20)
  })

  test('of a packed file whose blocks refer to earlier ones', async () => {
    const rows = [...(await loadDataset('text', { dataFiles: `${folder}/blocks.txt.zst` }))]
    expect(rows).toEqual(Array.from({ length: 40_000 }, (_, i) => ({ text: `row ${i % 1000} of ${i % 7}` })))
  })

  test('of a packed TSV file, known by its name', async () => {
    const file = `${temporaryFolder()}/x.tsv.gz`
    writeFileSync(file, gzipSync('a\tb\n1\tx,y\n'))
    expect([...(await loadDataset('csv', { dataFiles: file }))]).toEqual([{ a: 1, b: 'x,y' }])
  })

  test('of all files that a pattern fits, in the order of their names', async () => {
    const names = temporaryFolder()
    for (const [name, text] of [
      ['b.txt', 'b'],
      ['a.txt', 'a'],
      ['c.md', 'c'],
    ])
      writeFileSync(`${names}/${name}`, text!)
    expect([...(await loadDataset('text', { dataFiles: `${names}/*.txt` }))]).toEqual([{ text: 'a' }, { text: 'b' }])
  })
})

describe('a file that cannot be read', () => {
  const rowsOf = async (
    format: Parameters<typeof loadDataset>[0],
    name: string,
    content: string | Uint8Array,
    options = {},
  ) => {
    const file = `${temporaryFolder()}/${name}`
    writeFileSync(file, content)
    const result = await loadDataset(format, { dataFiles: file, ...options }).catch(error => error)
    return result instanceof Dataset ? [...result] : `${result.code}: ${result.message.replaceAll(file, 'FILE')}`
  }

  test('names the broken line of JSON, or leaves it out when told to', async () => {
    const text = '{"a": 1}\n\n{"a": 2\n[3]\n{"a": 4}'
    expect(await rowsOf('json', 'x.jsonl', text)).toBe(
      'HEED_FILE_INVALID: FILE: line 3 is "{"a": 2", expected a JSON object. Mend it, or set onBadRow to \'skip\'.',
    )
    expect(await rowsOf('json', 'x.jsonl', text, { onBadRow: 'skip' })).toEqual([{ a: 1 }, { a: 4 }])
  })

  test('that is a JSON list has its objects as rows, and names the one that is none', async () => {
    expect(await rowsOf('json', 'x.json', '\n [\n {"a": 1},\n {"a": [2]}\n]\n')).toEqual([{ a: 1 }, { a: [2] }])
    expect(await rowsOf('json', 'x.json', '[{"a": 1}, 7]')).toBe(
      "HEED_FILE_INVALID: FILE: value 2 of the list is 7, expected a JSON object. Mend it, or set onBadRow to 'skip'.",
    )
    expect(await rowsOf('json', 'x.json', '[{"a": 1}, 7]', { onBadRow: 'skip' })).toEqual([{ a: 1 }])
    expect(await rowsOf('json', 'x.json', '[{"a": 1},')).toMatch(
      /^HEED_FILE_INVALID: FILE: it begins as a JSON list and cannot be read as one: .+\. Mend it, or write one object a line\.$/,
    )
  })

  test('shows a broken line of JSON in part when it is long', async () => {
    expect(await rowsOf('json', 'x.jsonl', `{"a": "${'x'.repeat(1000)}`)).toBe(
      `HEED_FILE_INVALID: FILE: line 1 is "{"a": "${'x'.repeat(53)}...", expected a JSON object. Mend it, or set onBadRow to 'skip'.`,
    )
  })

  test('has no rows when it is empty, and rows of empty text where lines are', async () => {
    for (const format of ['text', 'json', 'csv'] as const) expect(await rowsOf(format, 'x', '')).toEqual([])
    expect(await rowsOf('csv', 'x.csv', 'a,b\n\n')).toEqual([])
    expect(await rowsOf('text', 'x.txt', 'a\n\nb')).toEqual([{ text: 'a' }, { text: '' }, { text: 'b' }])
    expect(await rowsOf('text', 'x.txt', ' \n\n\n', { sampleBy: 'paragraph' })).toEqual([])
  })

  test('names the ragged line of CSV, or leaves it out when told to', async () => {
    const text = 'a,b\r\n1,"x\ny"\r\n2\r\n3,z\r\n'
    expect(await rowsOf('csv', 'x.csv', text)).toBe(
      "HEED_FILE_INVALID: FILE: line 4 has 1 fields, expected 2 (a, b). Mend the line, or set onBadRow to 'skip'.",
    )
    expect(await rowsOf('csv', 'x.csv', text, { onBadRow: 'skip' })).toEqual([
      { a: 1, b: 'x\ny' },
      { a: 3, b: 'z' },
    ])
  })

  test('names a quote that is not closed and a column that appears twice', async () => {
    expect(await rowsOf('csv', 'x.csv', 'a,b\n1,"x\n')).toBe(
      'HEED_FILE_INVALID: FILE: the quote that opens in the record of line 2 is not closed, expected a second one. Mend the file.',
    )
    expect(await rowsOf('csv', 'x.csv', 'a,a\n1,2\n')).toBe(
      'HEED_FILE_INVALID: FILE: column "a" appears twice, expected each name once. Rename one.',
    )
  })

  test('may end lines of CSV as old Macs did; integers that no number can keep stay text', async () => {
    expect(await rowsOf('csv', 'x.csv', 'a,b\r1,"x\r"\r\r3,z\r')).toEqual([
      { a: 1, b: 'x\r' },
      { a: 3, b: 'z' },
    ])
    expect(await rowsOf('csv', 'x.csv', 'id,x\n1234567890123456789,1e300\n5,2\n')).toEqual([
      { id: '1234567890123456789', x: 1e300 },
      { id: '5', x: 2 },
    ])
  })

  test('refuses options that are none', async () => {
    expect(await rowsOf('csv', 'x.csv', 'a||b\n', { delimiter: '||' })).toBe(
      'HEED_ARGUMENT_INVALID: loadDataset: delimiter is "||", expected one character that is no quote and no line end. ' +
        'Give one such as ";", or leave it out: files have "," then, those that end in .tsv a tab.',
    )
    const options = { dataFiles: 'x.csv', delimiter: 5 as unknown as string }
    expect(() => streamDataset('csv', options)).toThrow('loadDataset: delimiter is 5, expected one character') // at once
    expect(await rowsOf('csv', 'x.csv', 'a,b\n', { columnNames: 'a,b' as unknown as string[] })).toBe(
      'HEED_ARGUMENT_INVALID: loadDataset: columnNames is "a,b", expected a list of names such as ["text", "label"]. ' +
        'Name all columns in their order, or leave it out where the first line does.',
    )
    expect(await rowsOf('json', 'x.jsonl', '{', { onBadRow: 'ignore' as 'skip' })).toBe(
      'HEED_ARGUMENT_INVALID: loadDataset: onBadRow is "ignore", expected one of stop, skip.',
    )
  })

  test('says what is wrong with its bytes', async () => {
    expect(await rowsOf('text', 'x.txt', Uint8Array.of(0x61, 0xff))).toBe(
      'HEED_FILE_INVALID: FILE: line 1 is not UTF-8. Convert the file to UTF-8.',
    )
    const mixed = Buffer.concat([Buffer.from('é\n\nü\n'), Buffer.from('ü\n', 'latin1'), Buffer.from('é\n')])
    expect(await rowsOf('text', 'x.txt', mixed)).toBe(
      'HEED_FILE_INVALID: FILE: line 4 is not UTF-8. Convert the file to UTF-8.',
    )
    expect(await rowsOf('json', 'x.jsonl.gz', gzipSync(mixed))).toMatch(/FILE: line 4 is not UTF-8/)
    expect(await rowsOf('csv', 'x.csv', Buffer.from('\ufeffa,b\n', 'utf16le'))).toBe(
      'HEED_FILE_INVALID: FILE: it is UTF-16. Convert the file to UTF-8.',
    )
    expect(await rowsOf('text', 'x.txt', Buffer.from('é\né').subarray(0, 4))).toBe(
      'HEED_FILE_INVALID: FILE: its last line is cut off within a letter of UTF-8. Convert the file to UTF-8.',
    )
    expect(await rowsOf('text', 'x.txt.gz', gzipSync('some text that is long enough').subarray(0, 20))).toBe(
      'HEED_FILE_INVALID: FILE: the gzip data is damaged or cut off. Copy or download it again.',
    )
    expect(await rowsOf('parquet', 'x.parquet', 'not parquet at all')).toMatch(
      /^HEED_FILE_INVALID: FILE: it cannot be read as Parquet: .+\.$/,
    )
  })

  test('packed by zstd is refused wherever it was cut off; a byte changed makes an error or no difference', async () => {
    const whole = readFileSync(`${folder}/packed.jsonl.zst`)
    const cut = Array.from(whole.keys(), length => whole.subarray(0, length))
    const changed = Array.from(whole.keys(), at => whole.map((byte, i) => (i === at ? byte ^ 1 : byte)))
    expect(await rowsOf('json', 'x.jsonl.zst', cut.at(-1)!)).toBe(
      'HEED_FILE_INVALID: FILE: the zstd data is damaged or cut off. Copy or download it again.',
    )
    const added = [Buffer.concat([whole, Buffer.from('more')])]
    for (const content of [...cut, ...changed, ...added]) {
      const read = await rowsOf('json', 'x.jsonl.zst', content)
      if (typeof read === 'string') expect(read).toMatch(/^HEED_FILE_INVALID: FILE: /)
      else expect(read).toEqual(expected['packed.jsonl.zst'])
    }
  })

  test('packed by zstd in a way that asks too much is refused before the memory is taken', async () => {
    const frame = (...header: number[]): Uint8Array => Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, ...header, 0, 0, 0)
    expect(await rowsOf('text', 'x.txt.zst', frame(0, 0x90))).toBe(
      'HEED_FILE_INVALID: FILE: the zstd data needs 268435456 bytes of memory, expected at most 134217728. Pack it again without --long.',
    )
    expect(await rowsOf('text', 'x.txt.zst', frame(1, 0x50, 7))).toBe(
      'HEED_FILE_INVALID: FILE: the zstd data needs a dictionary, expected data packed without one. Pack it again.',
    )
  })

  test('is named when it, or the format, does not exist', async () => {
    await expect(loadDataset('text', { dataFiles: `${folder}/*.pdf` })).rejects.toThrow(
      `loadDataset: dataFiles is "${folder}/*.pdf", expected a pattern that fits some file.`,
    )
    await expect(loadDataset('xml' as 'text', { dataFiles: 'x' })).rejects.toThrow(
      'loadDataset: there is no folder "xml", expected one of the formats text, json, csv, parquet, arrow, a folder, or a data set on the hub as user/name.',
    )
  })
})

describe('interleaved data sets', () => {
  const parts = [[0, 1, 2], [10, 11], [20, 21, 22, 23]].map(rows => new Dataset(rows)) // biome-ignore format: parts

  test.each(['first_exhausted', 'all_exhausted'] as const)('by turns, %s, are those of HF', async stoppingStrategy => {
    const rows = await interleaveDatasets(parts, { stoppingStrategy }).toDataset()
    expect([...rows]).toEqual(expected.interleaved[stoppingStrategy])
  })

  test('by probabilities keep them, and the order of each data set', async () => {
    const long = [0, 1].map(which => new Dataset(Array.from({ length: 2000 }, (_, i) => ({ which, i }))))
    const mixed = [...(await interleaveDatasets(long, { probabilities: [0.2, 0.8] }).toDataset())]
    const share = mixed.filter(({ which }) => which === 0).length / mixed.length
    expect(share).toBeGreaterThan(0.16)
    expect(share).toBeLessThan(0.24)
    const order = mixed.filter(({ which }) => which === 1).map(({ i }) => i)
    expect(order).toEqual(order.map((_, i) => i))
  })

  test('need a probability each', () => {
    expect(() => interleaveDatasets(parts, { probabilities: [0.5, 0.5] })).toThrow(
      'interleaveDatasets: probabilities are [0.5,0.5], expected 3 numbers of at least 0 whose sum is 1. ' +
        'Give one for each data set, or leave them out to take turns.',
    )
    for (const probabilities of [[1.5, -0.5, 0], 0.5]) {
      expect(() => interleaveDatasets(parts, { probabilities: probabilities as number[] })).toThrow(
        `probabilities are ${JSON.stringify(probabilities)}, expected 3 numbers`,
      )
    }
    const stoppingStrategy = 'all' as 'all_exhausted'
    expect(() => interleaveDatasets(parts, { stoppingStrategy })).toThrow(
      'interleaveDatasets: stoppingStrategy is "all", expected one of first_exhausted, all_exhausted.',
    )
  })

  test('are a list of some that can be iterated, as those to concatenate', () => {
    for (const join of [interleaveDatasets, concatenateDatasets] as ((datasets: never) => unknown)[]) {
      const call = (datasets: unknown) => () => join(datasets as never)
      expect(call([])).toThrow(
        `${join.name}: datasets are [], expected a list of at least one. Write ${join.name}([one, other]).`,
      )
      expect(call(parts[0])).toThrow(`${join.name}: datasets are no list, expected a list of at least one.`)
      expect(call([parts[0], { length: 1, get: () => 1 }])).toThrow(
        `${join.name}: datasets[1] has no rows to iterate, expected a Dataset, an IterableDataset or a list. Load or make one of it.`,
      )
    }
  })

  test('are closed when no more is read, and one that cannot start again is no row of nothing', async () => {
    let numClosed = 0
    const rows = new IterableDataset(async function* () {
      try {
        for (let i = 0; i < 9; i++) yield i
      } finally {
        numClosed += 1
      }
    })
    await interleaveDatasets([rows, rows]).take(3).toDataset()
    expect(numClosed).toBe(2)
    const once = [5][Symbol.iterator]()
    const mixed = interleaveDatasets([once, [1, 2, 3]], { stoppingStrategy: 'all_exhausted' })
    await expect(mixed.toDataset()).rejects.toThrow(
      'interleaveDatasets: data set 0 gave no row when it was iterated again, expected it to start anew.',
    )
  })
})
