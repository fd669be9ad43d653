import { expect } from 'vitest'
import { importSentencePiece } from '../../src/importers/sentencepiece.ts'
import { Tokenizer } from '../../src/tokenizer.ts'
import { readFixture } from '../fixture.ts'
import { readShared, testWith } from './shared-data.ts'

const vectors = readFixture<Record<string, { text: string; ids: number[] }[]>>('sentencepiece-vectors')

for (const [path, cases] of Object.entries(vectors)) {
  testWith([`B/${path}`], `${path} gives the ids that SentencePiece gives`, () => {
    const { tokenizer, config } = importSentencePiece(readShared(`B/${path}`))
    const loaded = Tokenizer.fromJSON(tokenizer, config)
    expect(cases.map(({ text }) => ({ text, ids: loaded.encode(text).ids }))).toEqual(
      cases.map(({ text, ids }) => ({ text, ids })),
    )
  })
}
