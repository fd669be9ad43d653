import { describe, expect, test } from 'vitest'
import type { Encoding } from '../src/encoding.ts'
import { type EncodeOptions, Tokenizer } from '../src/tokenizer.ts'
import { readFixture, type TokenizerFixture } from './fixture.ts'

const columns = ['ids', 'tokens', 'offsets', 'typeIds', 'attentionMask', 'specialTokensMask', 'wordIds', 'sequenceIds']

/**
 * Those columns of an object that must equal HF's. HF 0.23 stops at the first pieces that fill a truncated text, so cut
 * from the left it numbers words from the first that is left, where we keep their numbers in the text, as HF 0.22 does: see
 * truncation-windows.test.ts.
 */
function compared(values: Record<string, unknown>, options: EncodeOptions): Record<string, unknown> {
  const { truncation } = options
  const isCutLeft = typeof truncation === 'object' && truncation.direction === 'left'
  const names = isCutLeft ? columns.filter(name => name !== 'wordIds') : columns
  return Object.fromEntries(names.map(name => [name, values[name]]))
}

export function columnsOf(encoding: Encoding, options: EncodeOptions = {}): Record<string, unknown> {
  return compared(encoding.toJSON(), options)
}

export function expectedColumns(oracle: object, options: EncodeOptions = {}): Record<string, unknown> {
  return compared({ ...oracle }, options)
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

    test.each(fixture.variants.map(variant => [JSON.stringify([variant.text, variant.options]), variant] as const))(
      'gives the encoding that HF gives for %s',
      (_, { text, options, expected }) => {
        const encode = () => tokenizer.encode(text, { ...options, offsets: 'codePoints' })
        if (expected === null) return expect(encode).toThrow(/^encode: truncation\./)
        expect(columnsOf(encode(), options)).toEqual(expectedColumns(expected, options))
      },
    )

    test.each(fixture.batches)('pads a batch as HF does with $padding', ({ texts, padding, expected }) => {
      const batch = tokenizer.encodeBatch(texts, { padding, offsets: 'codePoints' })
      expect(batch.map(encoding => columnsOf(encoding))).toEqual(expected.map(oracle => expectedColumns(oracle)))
    })

    test('decodes every encoding to the text that HF decodes it to', () => {
      for (const { ids, decoded, decodedSpecial } of fixture.cases) {
        expect(tokenizer.decode(ids)).toBe(decoded)
        expect(tokenizer.decode(ids, { skipSpecialTokens: false })).toBe(decodedSpecial)
      }
    })

    test('writes a tokenizer.json that says what the file said', () => {
      expect(JSON.parse(JSON.stringify(tokenizer))).toEqual(fixture.tokenizer)
    })

    test('streams ids into the same text as decoding them at once, if their bytes make characters', () => {
      for (const { ids, decoded } of fixture.cases.filter(oracle => !oracle.decoded.includes('\ufffd'))) {
        const stream = tokenizer.decodeStream()
        expect(ids.map(id => stream.push(id)).join('') + stream.end()).toBe(decoded)
      }
    })

    test('encodes a batch as each text alone', () => {
      const texts = fixture.cases.map(oracle => oracle.text)
      expect(tokenizer.encodeBatch(texts).map(encoding => columnsOf(encoding))).toEqual(
        texts.map(text => columnsOf(tokenizer.encode(text))),
      )
    })
  })
}
