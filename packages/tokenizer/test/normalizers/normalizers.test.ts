import { describe, expect, test } from 'vitest'
import { JsonObject } from '../../src/json-object.ts'
import { NormalizedText } from '../../src/normalized-text.ts'
import { normalizerFromJson } from '../../src/normalizers/from-json.ts'
import { readFixture } from '../fixture.ts'
import { toCodePointSpans } from '../spans.ts'

interface NormalizerFixture {
  readonly part: Record<string, unknown>
  readonly cases: readonly {
    readonly text: string
    readonly normalized: string
    readonly offsets: [number, number][]
  }[]
}

describe.each(readFixture<NormalizerFixture[]>('normalizers'))('the normalizer $part', ({ part, cases }) => {
  // With nothing to prepend, HF gives the first character an empty place in the text, which loses it.
  const isPrependingNothing = part.prepend === ''
  const normalizer = normalizerFromJson(JsonObject.of(part, 'normalizer'))

  test('makes of each text what HF makes of it', () => {
    for (const { text, normalized } of cases)
      expect(normalizer.normalize(NormalizedText.of(text)).text).toBe(normalized)
  })

  test.skipIf(isPrependingNothing)('remembers where each character came from as HF does', () => {
    for (const { text, offsets } of cases) {
      const result = normalizer.normalize(NormalizedText.of(text))
      const spans: number[] = []
      for (let i = 0; i < result.text.length; ) {
        const units = result.text.codePointAt(i)! > 0xffff ? 2 : 1
        spans.push(result.startOf(i), result.endOf(i + units - 1))
        i += units
      }
      expect([text, toCodePointSpans(text, spans)]).toEqual([text, offsets])
    }
  })

  test('writes itself as HF does', () => {
    expect(normalizer.toJSON()).toEqual(part)
  })
})
