import { readFileSync } from 'node:fs'
import { Tokenizer } from '@heed/tokenizer'
import { describe, expect, test } from 'vitest'
import { stopStringCriterion } from '../../src/generation/stopping.ts'
import { tokenBytes } from '../../src/generation/token-bytes.ts'

interface Oracle {
  name: string
  tokenizer: never
  cases: { stopStrings: string[]; ids: number[]; stopsAt: number[] }[]
}

const oracles: Oracle[] = JSON.parse(readFileSync(new URL('../fixtures/stop-strings.json', import.meta.url), 'utf8'))

describe.each(oracles)('with a $name tokenizer', ({ tokenizer: json, cases }) => {
  const tokenizer = Tokenizer.fromJSON(json)

  test('stop strings end a text where they do in transformers', () => {
    expect(cases.some(({ stopsAt }) => stopsAt.length > 0)).toBe(true)
    for (const { stopStrings, ids, stopsAt } of cases) {
      const holds = stopStringCriterion(stopStrings, tokenizer)
      const found = [...ids.keys()].filter(i => holds(ids.slice(0, i + 1)))
      expect(found, `${stopStrings} in ${ids}`).toEqual(stopsAt)
    }
  })

  test('the bytes of tokens in a row are those of the text', () => {
    const bytes = tokenBytes(tokenizer)
    for (const { ids } of cases) {
      const written = new TextDecoder().decode(Uint8Array.from(ids.flatMap(id => [...bytes.get(id)!])))
      expect(written.trimStart()).toBe(tokenizer.decode(ids, { skipSpecialTokens: false }))
    }
  })
})
