import { describe, expect, test } from 'vitest'
import { HeedError } from '../../src/errors.ts'
import { importLlama2c } from '../../src/importers/llama2c.ts'
import { readSentencePiece } from '../../src/importers/sentencepiece.ts'
import { Tokenizer } from '../../src/tokenizer.ts'
import { readFixture } from '../fixture.ts'

const { model, cases } =
  readFixture<Record<string, { model: string; cases: { text: string; ids: number[]; decoded: string }[] }>>(
    'sentencepiece',
  )['bpe-llama']!

/** What llama2.c's tokenizer.py exports of a SentencePiece model. */
function exported(): Buffer {
  const { pieces } = readSentencePiece(Buffer.from(model, 'base64'))
  const rows = pieces.map(({ text, score }, id) => {
    const surrounded = id === 1 || id === 2 ? `\n${text}\n` : text
    const bytes = Buffer.from(surrounded.replaceAll('\u2581', ' '))
    const head = Buffer.alloc(8)
    head.writeFloatLE(score, 0)
    head.writeUint32LE(bytes.length, 4)
    return Buffer.concat([head, bytes])
  })
  return Buffer.concat([Buffer.of(27, 0, 0, 0), ...rows])
}

describe("llama2.c's tokenizer.bin", () => {
  const { tokenizer: json, config } = importLlama2c(exported())
  const tokenizer = Tokenizer.fromJSON(json, config)

  test('gives the ids of the SentencePiece model that it was exported from', () => {
    const ids = cases.map(({ text }) => [...tokenizer.encode(text, { addSpecialTokens: false }).ids])
    expect(ids).toEqual(cases.map(oracle => oracle.ids))
  })

  test('begins a text with <s> and decodes without it', () => {
    expect(tokenizer.encode('to be').tokens).toEqual(['<s>', '▁to', '▁be'])
    expect(cases.map(({ text }) => tokenizer.decode(tokenizer.encode(text).ids))).toEqual(
      cases.map(({ decoded }) => decoded),
    )
  })

  test.each([
    ['a file that is cut off', exported().subarray(0, 25), 1, 17],
    ['a file with too few tokens', exported().subarray(0, 30), 2, 30],
  ])('%s is refused', (_, bytes, token, at) => {
    const message =
      `tokenizer.bin: token ${token} at byte ${at} is missing or cut off, ` +
      'expected a score, a length and UTF-8 text. Export the file again.'
    expect(() => importLlama2c(bytes)).toThrow(new HeedError('HEED_FILE_INVALID', message))
  })
})
