import { describe, expect, test } from 'vitest'
import { decoderFromJson } from '../../src/decoders/from-json.ts'
import { JsonObject } from '../../src/json-object.ts'
import { readFixture } from '../fixture.ts'

interface DecoderFixture {
  readonly part: Record<string, unknown>
  readonly cases: readonly { readonly tokens: string[]; readonly decoded: string | null }[]
}

describe.each(readFixture<DecoderFixture[]>('decoders'))('the decoder $part', ({ part, cases }) => {
  const decoder = decoderFromJson(JsonObject.of(part, 'decoder'))

  test('joins tokens into the text that HF makes of them', () => {
    for (const { tokens, decoded } of cases)
      expect([tokens, decoder.decodeChain(tokens).join('')]).toEqual([tokens, decoded])
  })

  test('writes itself as HF does', () => {
    expect(decoder.toJSON()).toEqual(part)
  })
})
