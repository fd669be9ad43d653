import { describe, expect, test } from 'vitest'
import type { Encoding } from '../src/encoding.ts'
import { Tokenizer } from '../src/tokenizer.ts'
import { type OracleCase, readFixture, type TokenizerFixture } from './fixture.ts'

const columns = ['ids', 'tokens', 'offsets', 'typeIds', 'attentionMask', 'specialTokensMask', 'wordIds', 'sequenceIds']

/** The columns that HF compares, as a plain object. */
export function columnsOf(encoding: Encoding): Record<string, unknown> {
  const json = encoding.toJSON()
  return Object.fromEntries(columns.map(name => [name, json[name]]))
}

/** The same columns of what HF gave. */
export function expectedColumns(oracle: OracleCase | Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(columns.map(name => [name, (oracle as Record<string, unknown>)[name]]))
}

/** What must hold for every tokenizer of which HF wrote the file and encoded the texts of the fixture. */
export function testTokenizer(name: string): void {
  describe(name, () => {
    const fixture = readFixture<TokenizerFixture>(name)
    const tokenizer = Tokenizer.fromJSON(fixture.tokenizer)

    test.each(fixture.cases.map(oracle => [JSON.stringify(oracle.text), oracle] as const))(
      'gives the encoding that HF gives for %s',
      (_, oracle) => {
        expect(columnsOf(tokenizer.encode(oracle.text, { offsets: 'codePoints' }))).toEqual(expectedColumns(oracle))
      },
    )

    test('decodes every encoding to the text that HF decodes it to', () => {
      for (const { ids, decoded, decodedSpecial } of fixture.cases) {
        expect(tokenizer.decode(ids)).toBe(decoded)
        expect(tokenizer.decode(ids, { skipSpecialTokens: false })).toBe(decodedSpecial)
      }
    })

    test('writes a tokenizer.json that says what the file said', () => {
      expect(JSON.parse(JSON.stringify(tokenizer))).toEqual(fixture.tokenizer)
    })

    test('streams ids into the same text as decoding them at once', () => {
      for (const { ids, decoded } of fixture.cases) {
        const stream = tokenizer.decodeStream()
        expect(ids.map(id => stream.push(id)).join('') + stream.end()).toBe(decoded)
      }
    })

    test('encodes a batch as each text alone', () => {
      const texts = fixture.cases.map(oracle => oracle.text)
      expect(tokenizer.encodeBatch(texts).map(columnsOf)).toEqual(texts.map(text => columnsOf(tokenizer.encode(text))))
    })
  })
}
