import { describe, expect, test } from 'vitest'
import { Tokenizer } from '../../src/tokenizer.ts'
import { readFixture } from '../fixture.ts'
import { columnsOf, expectedColumns } from '../test-tokenizer.ts'

interface PostProcessorFixture {
  readonly tokenizer: Record<string, unknown>
  readonly parts: readonly {
    readonly part: Record<string, unknown>
    readonly cases: readonly {
      readonly text: string
      readonly pair: string | null
      readonly addSpecialTokens?: boolean
      readonly maxLength?: number
      readonly stride?: number
      readonly expected: Record<string, unknown>
    }[]
  }[]
}

const { tokenizer: json, parts } = readFixture<PostProcessorFixture>('post-processors')

describe.each(parts)('the post-processor $part', ({ part, cases }) => {
  const tokenizer = Tokenizer.fromJSON({ ...json, post_processor: part })

  test.each(cases)(
    'completes $text and $pair as HF does',
    ({ text, pair, expected, addSpecialTokens = true, maxLength, stride = 0 }) => {
      const encoding = tokenizer.encode(text, {
        ...(pair !== null && { pair }),
        ...(maxLength !== undefined && { truncation: { maxLength, stride } }),
        addSpecialTokens,
        offsets: 'codePoints',
      })
      expect(columnsOf(encoding)).toEqual(expectedColumns(expected))
    },
  )

  test('writes itself as HF does', () => {
    expect(JSON.parse(JSON.stringify(tokenizer.postProcessor))).toEqual(part)
  })
})
