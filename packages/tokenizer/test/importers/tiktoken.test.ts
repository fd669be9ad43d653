import { expect, test } from 'vitest'
import { byteCharacters } from '../../src/byte-alphabet.ts'
import { HeedError } from '../../src/errors.ts'
import { importTiktoken } from '../../src/importers/tiktoken.ts'
import { Tokenizer } from '../../src/tokenizer.ts'
import { readPlainFixture } from './plain-cases.ts'

/** Lines of tiktoken: the bytes of a token in base64, and its rank. */
function rankFile(tokens: readonly string[]): string {
  const bytes = (token: string) => Uint8Array.from(token, character => byteCharacters.indexOf(character))
  return tokens.map((token, rank) => `${Buffer.from(bytes(token)).toString('base64')} ${rank}\n`).join('')
}

test('a rank file gives the ids of the tokenizer.json that it was made from', () => {
  const { tokens, cases } = readPlainFixture('llama3-bpe')
  const { tokenizer, config } = importTiktoken(rankFile(tokens), 'cl100k_base')
  const loaded = Tokenizer.fromJSON(tokenizer, config)
  const begin = 1200 // which LLaMA 3's template puts first
  expect(cases.map(({ text }) => [begin, ...loaded.encode(text).ids])).toEqual(cases.map(({ ids }) => ids))
})

test('special tokens keep the ids that the encoding gives them, whatever gaps lie between', () => {
  const { tokenizer, config } = importTiktoken(rankFile(byteCharacters), 'cl100k_base')
  const loaded = Tokenizer.fromJSON(tokenizer, config)
  expect(loaded.encode('a<|fim_suffix|><|endofprompt|>').ids).toEqual([97, 100260, 100276])
  expect(loaded.specialTokenId('eos_token')).toBe(100257)
})

test('LLaMA 3 begins a text with its token, and reserves what has no purpose under numbers that go on', () => {
  const { tokenizer, config } = importTiktoken(rankFile(byteCharacters), 'llama3')
  const loaded = Tokenizer.fromJSON(tokenizer, config)
  expect(loaded.encode('a').ids).toEqual([128000, 97])
  expect([2, 3, 5, 9, 11, 255].map(id => loaded.idToToken(128000 + id))).toEqual([
    '<|reserved_special_token_0|>',
    '<|reserved_special_token_1|>',
    '<|reserved_special_token_2|>',
    '<|eot_id|>',
    '<|reserved_special_token_3|>',
    '<|reserved_special_token_247|>',
  ])
})

test('an encoding of the caller has its own pattern and tokens', () => {
  const ranks = rankFile([...byteCharacters, 'ab', 'bc'])
  const { tokenizer } = importTiktoken(ranks, { pattern: 'ab|.', specialTokens: { '[END]': 300 }, bosToken: '[END]' })
  expect(Tokenizer.fromJSON(tokenizer).encode('abc[END]').ids).toEqual([300, 256, 99, 300])
})

test.each([
  ['AA== 0\nAB', 2, '"AB"'],
  ['{"version": 1}', 1, '"{\\"version\\": 1}"'],
  ['AA== 0\n\nA 1', 3, '"A"'],
])('a line that is no token and rank is refused (%j)', (file, line, shown) => {
  const message = `tiktoken file: line ${line} is ${shown}, expected a token in base64 and its rank. Fetch the file again.`
  expect(() => importTiktoken(file, 'gpt2')).toThrow(new HeedError('HEED_FILE_INVALID', message))
})
