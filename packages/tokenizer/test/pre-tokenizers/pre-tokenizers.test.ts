import { describe, expect, test } from 'vitest'
import { toByteCharacters } from '../../src/byte-alphabet.ts'
import { JsonObject } from '../../src/json-object.ts'
import { NormalizedText } from '../../src/normalized-text.ts'
import { PreTokenizedText } from '../../src/pre-tokenized-text.ts'
import { preTokenizerFromJson } from '../../src/pre-tokenizers/from-json.ts'
import { readFixture } from '../fixture.ts'
import { toCodePointSpans } from '../spans.ts'

interface PreTokenizerFixture {
  readonly part: Record<string, unknown>
  readonly cases: readonly { readonly text: string; readonly pieces: [string, number, number][] }[]
}

function piecesOf(text: string, cut: PreTokenizedText): [string, number, number][] {
  const pieces: string[] = []
  const spans: number[] = []
  for (const segment of cut.segments) {
    for (const [i, piece] of segment.pieces.entries()) {
      pieces.push(cut.isByteLevel ? toByteCharacters(piece) : piece)
      spans.push(segment.source.startOf(segment.spans[2 * i]!), segment.source.endOf(segment.spans[2 * i + 1]! - 1))
    }
  }
  return toCodePointSpans(text, spans).map(([start, end], i) => [pieces[i]!, start, end])
}

describe.each(readFixture<PreTokenizerFixture[]>('pre-tokenizers'))('the pre-tokenizer $part', ({ part, cases }) => {
  const preTokenizer = preTokenizerFromJson(JsonObject.of(part, 'pre_tokenizer'))

  test('cuts each text as HF cuts it, if there is any', () => {
    for (const { text, pieces } of cases.filter(({ text }) => text !== '')) {
      const cut = PreTokenizedText.of(NormalizedText.of(text))
      preTokenizer.preTokenize(cut)
      expect(piecesOf(text, cut)).toEqual(pieces)
    }
  })

  test('writes itself as HF does', () => {
    expect(preTokenizer.toJSON()).toEqual(part)
  })
})
