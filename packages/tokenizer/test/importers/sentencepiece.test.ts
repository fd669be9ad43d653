import { describe, expect, test } from 'vitest'
import { importSentencePiece } from '../../src/importers/sentencepiece.ts'
import { Tokenizer } from '../../src/tokenizer.ts'
import { readFixture } from '../fixture.ts'

interface SmallModel {
  readonly model: string
  readonly cases: readonly { readonly text: string; readonly ids: number[]; readonly decoded: string }[]
}

const models = readFixture<Record<string, SmallModel>>('sentencepiece')

describe.each(Object.entries(models))('a SentencePiece model (%s)', (_, { model, cases }) => {
  const { tokenizer: json, config } = importSentencePiece(Buffer.from(model, 'base64'))
  const tokenizer = Tokenizer.fromJSON(json, config)

  test('gives the ids that SentencePiece gives', () => {
    expect(cases.map(({ text }) => ({ text, ids: tokenizer.encode(text).ids }))).toEqual(
      cases.map(({ text, ids }) => ({ text, ids })),
    )
  })

  test('decodes known ids to the text that SentencePiece gives', () => {
    const isKnown = ({ text, decoded }: { text: string; decoded: string }) =>
      !decoded.includes('\u2047') && !text.includes('\u2581') // unknown ids; any number of leading spaces
    const known = cases.filter(isKnown)
    expect(known.map(({ ids }) => tokenizer.decode(ids))).toEqual(known.map(({ decoded }) => decoded))
  })
})
