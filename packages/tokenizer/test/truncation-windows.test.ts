import { expect, test } from 'vitest'
import { type EncodeOptions, Tokenizer } from '../src/tokenizer.ts'
import { readFixture, type TokenizerFixture } from './fixture.ts'

interface OracleWindows {
  readonly text: string
  readonly options: EncodeOptions
  readonly windows: readonly Record<'ids' | 'offsets' | 'wordIds', unknown>[]
}

const oracle = Object.entries(readFixture<Record<string, OracleWindows[]>>('truncation-windows'))

test.each(oracle)('%s cuts texts into the windows of HF 0.22, with the same words, from both ends', (name, cases) => {
  const tokenizer = Tokenizer.fromJSON(readFixture<TokenizerFixture>(name).tokenizer)
  for (const { text, options, windows } of cases) {
    const first = tokenizer.encode(text, { ...options, offsets: 'codePoints' })
    const found = [first, ...first.overflowing].map(({ ids, offsets, wordIds }) => ({ ids, offsets, wordIds }))
    expect(found, JSON.stringify(options)).toEqual(windows)
  }
})
