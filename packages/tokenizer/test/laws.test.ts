import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Tokenizer } from '../src/tokenizer.ts'
import { readFixture, type TokenizerFixture } from './fixture.ts'
import { columnsOf } from './test-tokenizer.ts'

const names = [
  'byte-level-bpe',
  'roberta-bpe',
  'llama2-bpe',
  'llama2-metaspace',
  'llama3-bpe',
  'suffix-bpe',
  'wordpiece',
  'unigram',
  'unigram-bytes',
  'word-level',
]
const load = (name: string) => Tokenizer.fromJSON(readFixture<TokenizerFixture>(name).tokenizer)

/** Any code points, characters that people see, and words with the marks that tokenizers treat in their own way. */
const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string({ unit: 'grapheme', maxLength: 60 }),
  fc
    .array(
      fc.constantFrom('the', ' ', '  ', '\n', '\r\n', 'é', 'e\u0301', '你好', '😀', '▁', 'Ġ', "n't", '12', '.', '\0'),
    )
    .map(parts => parts.join('')),
)

const isHighSurrogate = (unit: number) => unit >= 0xd800 && unit <= 0xdbff
const cutsACharacter = (text: string, at: number) =>
  at > 0 && isHighSurrogate(text.charCodeAt(at - 1)) && at < text.length

describe.each(['byte-level-bpe', 'llama3-bpe'])('a byte-level tokenizer (%s)', name => {
  const tokenizer = load(name)

  test('decodes the ids of any text to that text', () => {
    fc.assert(
      fc.property(anyText, text => {
        const { ids } = tokenizer.encode(text, { addSpecialTokens: false })
        expect(tokenizer.decode(ids, { skipSpecialTokens: false })).toBe(text)
      }),
    )
  })

  test('reads a lone surrogate as U+FFFD', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.nat({ max: 0xffff }).map(unit => String.fromCharCode(unit)) }), text => {
        const { ids } = tokenizer.encode(text, { addSpecialTokens: false })
        expect(tokenizer.decode(ids)).toBe(text.toWellFormed())
      }),
    )
  })
})

describe.each(names)('any tokenizer (%s)', name => {
  const tokenizer = load(name)

  test('has offsets that cut whole characters out of the text, in order', () => {
    fc.assert(
      fc.property(anyText, text => {
        let last = 0
        for (const [start, end] of tokenizer.encode(text, { addSpecialTokens: false }).offsets) {
          expect(start).toBeGreaterThanOrEqual(last)
          expect(end).toBeGreaterThanOrEqual(start)
          expect(end).toBeLessThanOrEqual(text.length)
          expect(cutsACharacter(text, start) || cutsACharacter(text, end)).toBe(false)
          last = start
        }
      }),
    )
  })

  test('counts code points as it counts UTF-16 units', () => {
    fc.assert(
      fc.property(anyText, text => {
        const units = tokenizer.encode(text).offsets
        const points = tokenizer.encode(text, { offsets: 'codePoints' }).offsets
        const count = (at: number) => [...text.slice(0, at)].length
        expect(points).toEqual(units.map(([start, end]) => [count(start), count(end)]))
      }),
    )
  })

  test('encodes a batch as each text alone', () => {
    fc.assert(
      fc.property(fc.array(anyText, { maxLength: 4 }), texts => {
        expect(tokenizer.encodeBatch(texts).map(encoding => columnsOf(encoding))).toEqual(
          texts.map(text => columnsOf(tokenizer.encode(text))),
        )
      }),
    )
  })

  test('encodes as a copy that went through JSON, whatever it encoded before', () => {
    const copy = Tokenizer.fromJSON(JSON.parse(JSON.stringify(tokenizer)))
    fc.assert(
      fc.property(anyText, text => {
        expect(columnsOf(tokenizer.encode(text))).toEqual(columnsOf(copy.encode(text)))
      }),
    )
  })

  test('streams ids into the text that they decode to', () => {
    fc.assert(
      fc.property(anyText, text => {
        const { ids } = tokenizer.encode(text)
        const stream = tokenizer.decodeStream()
        expect(ids.map(id => stream.push(id)).join('') + stream.end()).toBe(tokenizer.decode(ids))
      }),
    )
  })

  test('truncates into windows that together are the whole, with the stride between', () => {
    fc.assert(
      fc.property(anyText, fc.integer({ min: 2, max: 12 }), fc.nat(), (text, maxLength, seed) => {
        const stride = seed % maxLength
        const options = { addSpecialTokens: false } as const
        const { ids } = tokenizer.encode(text, options)
        const cut = tokenizer.encode(text, { ...options, truncation: { maxLength, stride } })
        const windows = [cut, ...cut.overflowing].map(window => window.ids)
        expect(windows.every(window => window.length <= maxLength)).toBe(true)
        expect(windows.flatMap((window, i) => (i === 0 ? window : window.slice(stride)))).toEqual(ids)
      }),
    )
  })
})

test('a BERT tokenizer that remembers words encodes as one that takes each text whole', () => {
  const file = readFixture<TokenizerFixture>('wordpiece').tokenizer as { added_tokens: { normalized: boolean }[] }
  const exact = { ...file, added_tokens: file.added_tokens.filter(token => !token.normalized) }
  const remembers = Tokenizer.fromJSON(exact)
  const takesWhole = Tokenizer.fromJSON(exact)
  // A token that is looked for in normalized text could lie across words, so this one does not cut at words.
  takesWhole.addTokens([{ content: 'a token of many words that no text has', normalized: true }])
  const bertText = fc.oneof(
    anyText,
    fc
      .array(
        fc.constantFrom(
          ...['a', 'É', 'e\u0301', '\u0301', '\u0323', ' ', '\u3000', '\x0b', '\u0085', '\u200d', '\ufffd'],
        ),
      )
      .map(parts => parts.join('')),
    fc
      .array(
        fc.constantFrom(
          ...['你', '好', '\u3099', 'が', '。', '<', '\u0338', '\u037e', '豈', '𠀀', "'", 'ΑΣ', '[CLS]', '가'],
        ),
      )
      .map(parts => parts.join('')),
  )
  fc.assert(
    fc.property(bertText, text => {
      expect(columnsOf(remembers.encode(text))).toEqual(columnsOf(takesWhole.encode(text)))
    }),
    { numRuns: 500 },
  )
})
