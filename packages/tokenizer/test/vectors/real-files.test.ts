import { describe, expect } from 'vitest'
import { importVocabAndMerges } from '../../src/importers/byte-level-files.ts'
import type { ImportedTokenizer } from '../../src/importers/imported-tokenizer.ts'
import { importVocabTxt } from '../../src/importers/single-file.ts'
import { Tokenizer } from '../../src/tokenizer.ts'
import { type OracleCase, readFixture } from '../fixture.ts'
import { columnsOf, expectedColumns } from '../test-tokenizer.ts'
import { readSharedJson, readSharedText, testWith } from './shared-data.ts'

describe('a tokenizer.json', () => {
  for (const [path, cases] of Object.entries(readFixture<Record<string, OracleCase[]>>('real-tokenizers'))) {
    // This vocabulary lacks most bytes and has no unknown token; HF's offsets slip to the left at each byte left out.
    const unequal = path.endsWith('tiny_bpe_tokenizer.json') ? { offsets: null } : {}
    testWith([`B/${path}`], `${path} encodes and decodes as with HF`, () => {
      const tokenizer = Tokenizer.fromJSON(readSharedJson(`B/${path}`))
      const encode = (text: string) => columnsOf(tokenizer.encode(text, { offsets: 'codePoints' }))
      expect(cases.map(({ text }) => [text, { ...encode(text), ...unequal }])).toEqual(
        cases.map(oracle => [oracle.text, { ...expectedColumns(oracle), ...unequal }]),
      )
      expect(cases.map(({ ids }) => tokenizer.decode(ids))).toEqual(cases.map(({ decoded }) => decoded))
      const whole = { skipSpecialTokens: false }
      expect(cases.map(({ ids }) => tokenizer.decode(ids, whole))).toEqual(cases.map(oracle => oracle.decodedSpecial))
    })
  }
})

const isCased = /cased_tok|multi_cased/

function load(path: string): ImportedTokenizer {
  if (path.endsWith('.txt')) return importVocabTxt(readSharedText(path), { do_lower_case: !isCased.test(path) })
  return importVocabAndMerges(readSharedJson(path), readSharedText(mergesOf(path)))
}

function mergesOf(path: string): string {
  return path.replace('vocab.json', 'merges.txt').replace('encoder.json', 'vocab.bpe')
}

describe('vocabulary files', () => {
  const vectors = readFixture<Record<string, { text: string; ids: number[] }[]>>('real-vocabularies')
  for (const [path, cases] of Object.entries(vectors)) {
    testWith([`B/${path}`, mergesOf(`B/${path}`)], `${path} gives HF's ids`, () => {
      const { tokenizer, config } = load(`B/${path}`)
      const loaded = Tokenizer.fromJSON(tokenizer, config)
      expect(cases.map(({ text }) => ({ text, ids: [...loaded.encode(text).ids] }))).toEqual(cases)
    })
  }
})
