import { describe, expect, test } from 'vitest'
import { HeedError } from '../../src/errors.ts'
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

const bytes = new Uint8Array(Buffer.from(models.bpe!.model, 'base64'))

test('tokens of beginning and end are put around a text where that is asked for, and two texts get type ids', () => {
  const load = (options: Parameters<typeof importSentencePiece>[1]) => {
    const { tokenizer, config } = importSentencePiece(bytes, options)
    return Tokenizer.fromJSON(tokenizer, config)
  }
  expect(load({ addBosToken: true }).encode('a', { pair: 'a' })).toMatchObject({
    tokens: ['<s>', '\u2581a', '<s>', '\u2581a'],
    typeIds: [0, 0, 1, 1],
  })
  const sentinels = load({ addEosToken: true, extraIds: 2 })
  expect(sentinels.encode('a', { pair: 'a' })).toMatchObject({
    tokens: ['\u2581a', '</s>', '\u2581a', '</s>'],
    typeIds: [0, 0, 0, 0],
  })
})

test("T5's sentinels have the ids behind the pieces, the last one first", () => {
  const { tokenizer } = importSentencePiece(Buffer.from(models.unigram!.model, 'base64'), { extraIds: 2 })
  const loaded = Tokenizer.fromJSON(tokenizer)
  expect(loaded.encode('<extra_id_0><extra_id_1>').ids).toEqual([401, 400])
})

describe('a file that is no model', () => {
  test.each([
    [
      'empty',
      new Uint8Array(),
      'it has no pieces, expected a Unigram, BPE or character model of SentencePiece. Check the file.',
    ],
    [
      'cut off',
      bytes.subarray(0, 100),
      'byte 95 breaks the format, expected a protobuf message. Fetch the file again.',
    ],
    [
      'something else',
      new TextEncoder().encode('{"version": "1.0"}'),
      'byte 1 breaks the format, expected a protobuf message. Fetch the file again.',
    ],
    [
      'of a kind that has no merges or scores',
      Uint8Array.of(0x0a, 3, 0x0a, 1, 0x61, 0x12, 2, 0x18, 3),
      'it is of model type 3, expected a Unigram, BPE or character model of SentencePiece. Check the file.',
    ],
    [
      'a piece that is not UTF-8',
      Uint8Array.of(0x0a, 3, 0x0a, 1, 0xff),
      'a piece is not valid UTF-8. Fetch the file again.',
    ],
  ])('%s', (_, file, problem) => {
    expect(() => importSentencePiece(file)).toThrow(new HeedError('HEED_FILE_INVALID', `tokenizer.model: ${problem}`))
  })
})
