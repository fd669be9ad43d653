import { expect } from 'vitest'
import { importTiktoken, type TiktokenName } from '../../src/importers/tiktoken.ts'
import { Tokenizer } from '../../src/tokenizer.ts'
import { readSharedText, testWith } from './shared-data.ts'

const plans = 'B/niieani+gpt-tokenizer/TestPlans.txt'

function load(name: TiktokenName, path: string): Tokenizer {
  const { tokenizer, config } = importTiktoken(readSharedText(path), name)
  return Tokenizer.fromJSON(tokenizer, config)
}

interface Plan {
  readonly name: string
  readonly text: string
  readonly ids: number[]
}

/** `EncodingName: n`, `Sample: text` over any number of lines, `Encoded: [ids]`. */
function readPlans(): Plan[] {
  const parts = readSharedText(plans).matchAll(/EncodingName: (\S+)\nSample: ([\s\S]*?)\nEncoded: (\[.*\])/g)
  return [...parts].map(([, name, text, ids]) => ({ name: name!, text: text!, ids: JSON.parse(ids!) }))
}

for (const name of ['r50k_base', 'p50k_base', 'p50k_edit', 'cl100k_base', 'o200k_base'] as const) {
  const file = `B/niieani+gpt-tokenizer/${name.replace('edit', 'base')}.tiktoken` // p50k_edit has the ranks of p50k_base
  testWith([file, plans], `${name} encodes gpt-tokenizer's samples as tiktoken does`, () => {
    const tokenizer = load(name, file)
    const cases = readPlans().filter(plan => plan.name === name)
    expect(cases.length).toBeGreaterThan(20)
    expect(cases.map(({ text }) => tokenizer.encode(text).ids)).toEqual(cases.map(({ ids }) => ids))
    expect(cases.map(({ ids }) => tokenizer.decode(ids))).toEqual(cases.map(({ text }) => text))
  })
}
