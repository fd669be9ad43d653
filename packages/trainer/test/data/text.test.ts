import { writeFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { PackedTokens } from '../../src/data/packed-tokens.ts'
import { encodePairs, loadParallelText } from '../../src/data/parallel-text.ts'
import { loadTextCorpus, readTextFiles, splitText, textCorpus } from '../../src/data/text.ts'
import { temporaryFolder } from '../temporary-folder.ts'

/** One id a UTF-8 byte. */
const tokenizer = { encode: (text: string) => ({ ids: new TextEncoder().encode(text) }) }

describe('PackedTokens', () => {
  const tokens = Uint16Array.from({ length: 11 }, (_, i) => i)
  const rows = (options: { blockSize: number; stride?: number }): number[][] => {
    const dataset = new PackedTokens(tokens, options)
    return Array.from({ length: dataset.length }, (_, i) => Array.from(dataset.get(i).inputIds))
  }

  test('cuts a text into blocks, without the rest', () => {
    expect(rows({ blockSize: 5 })).toEqual([
      [0, 1, 2, 3, 4],
      [5, 6, 7, 8, 9],
    ])
  })

  test('with a stride of 1 gives every window', () => {
    expect(rows({ blockSize: 9, stride: 1 }).map(row => row[0])).toEqual([0, 1, 2])
  })

  test('refuses a text shorter than a block, and sizes that make no block', () => {
    expect(() => new PackedTokens(tokens, { blockSize: 12, name: 'notes.txt' })).toThrow(
      'notes.txt: the text has 11 tokens, expected at least blockSize (12). Give more text or a smaller blockSize.',
    )
    expect(() => new PackedTokens(tokens, { blockSize: 1 })).toThrow(
      'PackedTokens: blockSize is 1, expected an integer at least 2.',
    )
    expect(() => new PackedTokens(tokens, { blockSize: 4, stride: 0 })).toThrow(
      'PackedTokens: stride is 0, expected an integer at least 1.',
    )
    expect(() => new PackedTokens(tokens, { blockSize: 4 }).get(2)).toThrow(
      'PackedTokens: index is 2, expected an integer at least 0 and below 2.',
    )
  })
})

describe('a text corpus', () => {
  const lines = Array.from({ length: 40 }, (_, i) => `line ${String(i).padStart(2, '0')} é`).join('\n')

  test('keeps the end for validation, split between lines, and loses no byte', () => {
    const [first, last] = splitText(lines, 0.1)
    expect(first + last).toBe(lines)
    expect(first.endsWith('\n')).toBe(true)
    expect(last.split('\n')).toHaveLength(4)
    expect(splitText('😀😀😀', 0.5)).toEqual(['😀', '😀😀'])
    expect(() => splitText(lines, 2)).toThrow(
      'splitText: part is 2, expected a finite number at least 0 and at most 1.',
    )
  })

  test('knows its bytes, so that evaluation can report bits per byte', () => {
    const corpus = textCorpus(lines, { tokenizer, blockSize: 8, validationSplit: 0.25 })
    expect(corpus.numBytes).toBe(Buffer.byteLength(lines))
    expect(corpus.numTokens).toBe(corpus.numBytes)
    expect(corpus.train.bytesPerToken).toBe(1)
    expect(corpus.validation?.tokens).toEqual(new Uint16Array(tokenizer.encode(splitText(lines, 0.25)[1]).ids))
  })

  test('of several files is read in their order', async () => {
    const folder = temporaryFolder()
    const files = ['b.txt', 'a.txt'].map(name => `${folder}/${name}`)
    for (const file of files) writeFileSync(file, `text of ${file.at(-5)}`)
    expect(await readTextFiles(files)).toBe('text of b\ntext of a')
    const corpus = await loadTextCorpus(files, { tokenizer, blockSize: 4, validationSplit: 0 })
    expect(corpus.validation).toBeUndefined()
    expect(corpus.train.length).toBe(4)
  })

  test('that is missing, empty or too short is refused by its name', async () => {
    const file = `${temporaryFolder()}/empty.txt`
    await expect(readTextFiles([file])).rejects.toThrow(`${file}: there is no such file or folder. Check the path.`)
    writeFileSync(file, ' \n')
    await expect(readTextFiles([file])).rejects.toThrow(`${file}: the file is empty, expected text. Check the path.`)
    await expect(readTextFiles([])).rejects.toThrow('readTextFiles: files is [], expected at least one path.')
    expect(() => textCorpus('a\nb', { tokenizer, blockSize: 8 })).toThrow(
      'training text: the text has 2 tokens, expected at least blockSize (8). Give more text or a smaller blockSize.',
    )
    expect(() => textCorpus(lines, { tokenizer, blockSize: 8, validationSplit: 1 })).toThrow(
      'textCorpus: validationSplit is 1, expected a finite number at least 0 and below 1.',
    )
  })
})

describe('a parallel text', () => {
  test('is pairs of lines, out of plain and packed files', async () => {
    const folder = temporaryFolder()
    const files = { source: `${folder}/text.en.gz`, target: `${folder}/text.de` }
    writeFileSync(files.source, gzipSync('one\ntwo\n'))
    writeFileSync(files.target, 'eins\nzwei')
    const pairs = await loadParallelText(files)
    expect([...pairs]).toEqual([
      { source: 'one', target: 'eins' },
      { source: 'two', target: 'zwei' },
    ])
    const [first] = await encodePairs(pairs, tokenizer)
    expect(Array.from(first!.labels)).toEqual([...Buffer.from('eins')])
  })

  test('refuses sides of different length', async () => {
    const folder = temporaryFolder()
    writeFileSync(`${folder}/en`, 'one\ntwo\n')
    writeFileSync(`${folder}/de`, 'eins\n')
    await expect(loadParallelText({ source: `${folder}/en`, target: `${folder}/de` })).rejects.toThrow(
      `${folder}/de: number of lines is 1, expected 2 as in ${folder}/en. Each line must be the translation of the same line of the other side.`,
    )
  })
})
