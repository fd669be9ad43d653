import { writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { readTextPieces } from '../../src/data/text-pieces.ts'
import { isTokenShards, TokenShards, writeTokenShards } from '../../src/data/token-shards.ts'
import { temporaryFolder } from '../temporary-folder.ts'

const ids = Array.from({ length: 100 }, (_, i) => i * 655)

test.each([
  [65_536, 'uint16'],
  [65_537, 'uint32'],
] as const)('tokens of a vocabulary of %i come back across shards, in parts, as %s', async (vocabSize, dtype) => {
  const folder = temporaryFolder()
  expect(await isTokenShards(folder)).toBe(false)
  const pieces = [0, 37, 60].map((start, i, starts) => ({
    ids: Uint32Array.from(ids.slice(start, starts[i + 1] ?? 100)),
    numBytes: 10,
  }))
  const index = await writeTokenShards(folder, pieces, { vocabSize, maxShardTokens: 30 })
  expect(index).toMatchObject({ dtype, numTokens: 100, numBytes: 30 })
  expect(index.shards.map(({ numTokens }) => numTokens)).toEqual([30, 30, 30, 10])
  expect(await isTokenShards(folder)).toBe(true)
  const blocks = await TokenShards.open(folder, { blockSize: 8, start: 3, end: 90 })
  expect(blocks.length).toBe(10)
  for (let i = 0; i < 10; i++) {
    expect([...((await blocks.get(i)).inputIds as Int32Array)]).toEqual(ids.slice(3 + 8 * i, 11 + 8 * i))
  }
  await expect(blocks.get(10)).rejects.toThrow('TokenShards: index is 10, expected an integer at least 0 and below 10.')
  await blocks.close()
  await expect(TokenShards.open(folder, { blockSize: 8, start: 95 })).rejects.toThrow(
    `${folder}: the part has 5 tokens, expected at least blockSize (8). Prepare more text, or take a smaller blockSize.`,
  )
  await expect(TokenShards.open(folder, { blockSize: 8, end: 101 })).rejects.toThrow(
    'TokenShards: end is 101, expected an integer at least 0 and at most 100.',
  )
  if (dtype === 'uint16') {
    const tooHigh = [{ ids: Uint32Array.of(vocabSize), numBytes: 1 }]
    await expect(writeTokenShards(folder, tooHigh, { vocabSize })).rejects.toThrow(
      'writeTokenShards: an id is 65536, expected 0 to 65535 since vocabSize is 65536. Give the highest id and 1 as vocabSize.',
    )
  }
  writeFileSync(`${folder}/tokens-00003.bin`, 'abc')
  await expect(TokenShards.open(folder, { blockSize: 8 })).rejects.toThrow(/tokens-00003.bin: it has 3 bytes, expected/)
})

test.each([
  [{}, 'dtype is undefined, expected "uint16" or "uint32"'],
  [{ dtype: 'uint16', numTokens: -1 }, 'numTokens is -1, expected a whole number'],
  [
    { dtype: 'uint16', numTokens: 9, numBytes: 9, shards: [{ numTokens: 9 }] },
    'shards is [{"numTokens":9}], expected a list of { file, numTokens }',
  ],
])('an index that says %j is refused', async (index, what) => {
  const folder = temporaryFolder()
  writeFileSync(`${folder}/token-shards.json`, JSON.stringify(index))
  await expect(TokenShards.open(folder, { blockSize: 8 })).rejects.toThrow(
    `${folder}/token-shards.json: ${what}. Prepare the corpus again.`,
  )
})

test('a long text is read in pieces that begin lines with a letter, rows by their column, and nothing is lost', async () => {
  const folder = temporaryFolder()
  const text = Array.from({ length: 60_000 }, (_, i) => (i % 3 === 0 ? '\n  indented' : `line ${i} of the text`)).join(
    '\n',
  )
  writeFileSync(`${folder}/long.txt`, text)
  const pieces: string[] = []
  for await (const { texts, endsLast } of readTextPieces('text', [`${folder}/long.txt`])) {
    pieces.push(texts[0]!)
    expect(endsLast).toBe(pieces.join('').length === text.length)
  }
  expect(pieces.join('')).toBe(text)
  expect(pieces.length).toBeGreaterThan(3)
  expect(pieces.slice(1).every(piece => /^\p{L}/u.test(piece))).toBe(true)
  writeFileSync(`${folder}/rows.jsonl`, '{"body":"one"}\n{"body":""}\n{"body":"two"}\n{"other":3}\n')
  const rows = readTextPieces('json', [`${folder}/rows.jsonl`], 'body')
  await expect(rows.next()).rejects.toThrow(
    `${folder}/rows.jsonl: body is undefined, expected text in every row. The columns are other.`,
  )
})

test.each([
  ['numbers', '1 234 567\n', /^\d/],
  ['one line', 'word after word ', /^ \p{L}/u],
])('a text of %s is read in pieces of some megabytes', async (_, unit, start) => {
  const file = `${temporaryFolder()}/odd.txt`
  const text = unit.repeat(12_000_000 / unit.length)
  writeFileSync(file, text)
  const pieces: string[] = []
  for await (const { texts } of readTextPieces('text', [file])) pieces.push(texts[0]!)
  expect(pieces.join('') === text).toBe(true)
  expect(Math.max(...pieces.map(piece => piece.length))).toBeLessThan(6e6)
  for (const piece of pieces.slice(1)) expect(piece.slice(0, 2)).toMatch(start)
})

test('empty files and rows are no documents, and a corpus of nothing is refused', async () => {
  const folder = temporaryFolder()
  writeFileSync(`${folder}/empty.txt`, '')
  writeFileSync(`${folder}/some.txt`, 'some')
  writeFileSync(`${folder}/rows.jsonl`, '{"text": ""}\n{"text": "row"}\n{"text": ""}\n')
  const pieces = async (format: 'text' | 'json', ...names: string[]): Promise<unknown[]> => {
    const all: unknown[] = []
    for await (const piece of readTextPieces(
      format,
      names.map(name => `${folder}/${name}`),
    ))
      all.push(piece)
    return all
  }
  expect(await pieces('text', 'empty.txt', 'some.txt', 'empty.txt')).toEqual([{ texts: ['some'], endsLast: true }])
  expect(await pieces('json', 'rows.jsonl')).toEqual([{ texts: ['row'], endsLast: true }])
  await expect(writeTokenShards(`${folder}/out`, [], { vocabSize: 9 })).rejects.toThrow(
    `${folder}/out: there are no tokens to write, expected text in the files. Check that they are not empty.`,
  )
  expect(await isTokenShards(`${folder}/out`)).toBe(false)
})

test('a text without lines or words is refused before it fills the memory', async () => {
  const file = `${temporaryFolder()}/odd.txt`
  writeFileSync(file, '0'.repeat(6_000_000))
  const read = async (): Promise<void> => {
    for await (const _ of readTextPieces('text', [file]));
  }
  await expect(read()).rejects.toThrow(/odd.txt: \d+ characters have no line end and no space between words, expected/)
})
