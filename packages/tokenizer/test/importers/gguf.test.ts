import { describe, expect, test } from 'vitest'
import { HeedError } from '../../src/errors.ts'
import { exportGgufVocabulary } from '../../src/exporters/gguf-vocabulary.ts'
import { readGgufMetadata } from '../../src/importers/gguf-metadata.ts'
import { importGgufVocabulary } from '../../src/importers/gguf-vocabulary.ts'
import { Tokenizer } from '../../src/tokenizer.ts'
import { readFixture } from '../fixture.ts'
import { readPlainFixture } from './plain-cases.ts'

const file = new Uint8Array(Buffer.from(readFixture<string>('gguf-vocabulary'), 'base64'))

function load(metadata: Readonly<Record<string, unknown>>): Tokenizer {
  const { tokenizer, config } = importGgufVocabulary(metadata)
  return Tokenizer.fromJSON(tokenizer, config)
}

describe('the head of a file that the gguf package wrote', () => {
  const metadata = readGgufMetadata(file)

  test('gives values of each type', () => {
    const values = Object.entries(metadata).filter(([key]) => key.startsWith('test.'))
    expect(Object.fromEntries(values)).toEqual({
      'test.uint8': 5,
      'test.int8': -5,
      'test.uint16': 5,
      'test.int16': -5,
      'test.uint32': 5,
      'test.int32': -5,
      'test.uint64': 5n,
      'test.int64': -5n,
      'test.float32': 0.5,
      'test.float64': 0.1,
      'test.bool': true,
      'test.string': '\ufeffcafé 😀',
      'test.array': [1, 2, 3],
    })
  })

  test('gives a vocabulary with the ids of the SentencePiece model that it was made from', () => {
    const small = readFixture<Record<string, { cases: { text: string; ids: number[] }[] }>>('sentencepiece')
    const { cases } = small['bpe-llama']!
    const tokenizer = load(metadata)
    expect(cases.map(({ text }) => [text, [...tokenizer.encode(text).ids]])).toEqual(
      cases.map(({ text, ids }) => [text, ids]),
    )
  })

  test('gives special tokens, the longest input and the chat template', () => {
    const { config } = load(metadata)
    expect(config).toEqual({
      bos_token: '<s>',
      eos_token: '</s>',
      unk_token: '<unk>',
      model_max_length: 2048,
      chat_template: '{{ messages[0].content }}',
    })
  })

  test('gives several chat templates by their names, which are written as gguf-py does', () => {
    const several = {
      'tokenizer.chat_template': 'D',
      'tokenizer.chat_templates': ['tool_use', 'a_b'],
      'tokenizer.chat_template.tool_use': 'T',
      'tokenizer.chat_template.a_b': 'B',
    }
    const tokenizer = load({ ...metadata, ...several })
    const chat = [{ role: 'user', content: 'x' }]
    const render = (options: object) => tokenizer.applyChatTemplate(chat, { ...options, tokenize: false })
    expect([{}, { tools: [] }, { chatTemplate: 'a_b' }].map(render)).toEqual(['D', 'T', 'B'])
    tokenizer.config = { ...tokenizer.config, chat_template: { default: 'D', tool_use: 'T', 'a.b': 'B' } }
    const pairs = [...exportGgufVocabulary(tokenizer, tokenizer.vocabSize)].map(([key, { value }]) => [key, value])
    expect(Object.fromEntries(pairs)).toMatchObject(several)
  })

  test('encodes with the token of the beginning where the file asks for it', () => {
    const tokenizer = load({ ...metadata, 'tokenizer.ggml.add_bos_token': true })
    expect(tokenizer.encode('to be').tokens[0]).toBe('<s>')
  })

  test.each([
    ['a file of another format', () => readGgufMetadata(new Uint8Array(24)), 'begins with 0x0, expected "GGUF"'],
    ['another version', () => readGgufMetadata(patched(4, [1, 0, 0, 0])), 'is of version 1, expected version 2 or 3'],
    [
      'a file that is cut off',
      () => readGgufMetadata(file.subarray(0, 200)),
      'claims a length of 700 at byte 187, expected at most its 200 bytes',
    ],
    [
      'a file that ends in a value',
      () => readGgufMetadata(file.subarray(0, 60)),
      'ends at byte 60, expected 8 bytes more from byte 56 on',
    ],
    [
      'a count beyond the file',
      () => readGgufMetadata(patched(16, [255, 255, 255, 255, 255, 255, 255, 255])),
      `claims a length of 18446744073709551615 at byte 16, expected at most its ${file.length} bytes`,
    ],
    [
      'a type that does not exist',
      () => readGgufMetadata(patched(52, [99])),
      'has a value of type 99 at byte 52, expected a type from 0 to 12',
    ],
  ])('%s is refused', (_, run, problem) => {
    expect(run).toThrow(new HeedError('HEED_FILE_INVALID', `GGUF file: it ${problem}. Fetch the file again.`))
  })
})

function patched(at: number, bytes: readonly number[]): Uint8Array {
  const copy = file.slice()
  copy.set(bytes, at)
  return copy
}

test('a byte-level vocabulary gives the ids of the tokenizer.json that it was made from', () => {
  const { tokens, merges, cases } = readPlainFixture('byte-level-bpe')
  const tokenizer = load({
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': 'gpt-2',
    'tokenizer.ggml.tokens': tokens,
    'tokenizer.ggml.merges': merges.map(pair => pair.join(' ')),
    'tokenizer.ggml.token_type': Int32Array.from(tokens, (_, id) => (id === 0 ? 3 : 1)),
    'tokenizer.ggml.eos_token_id': 0n,
  })
  expect(cases.map(({ text }) => [...tokenizer.encode(text).ids])).toEqual(cases.map(({ ids }) => ids))
  expect(tokenizer.specialTokenId('eos_token')).toBe(0)
})

test("BERT's vocabulary gives the ids of the tokenizer.json that it was made from", () => {
  const { tokens, cases } = readPlainFixture('wordpiece')
  const special = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']
  const marked = (token: string) => (token.startsWith('##') ? token.slice(2) : `\u2581${token}`)
  const tokenizer = load({
    'tokenizer.ggml.model': 'bert',
    'tokenizer.ggml.tokens': tokens.map(token => (special.includes(token) ? token : marked(token))),
    'tokenizer.ggml.token_type': tokens.map(token => (special.includes(token) ? 3 : 1)),
    'tokenizer.ggml.unknown_token_id': 1,
    'tokenizer.ggml.cls_token_id': 2,
    'tokenizer.ggml.seperator_token_id': 3,
    'tokenizer.ggml.padding_token_id': 0,
    'tokenizer.ggml.mask_token_id': 4,
  })
  expect(cases.map(({ text }) => [...tokenizer.encode(text).ids])).toEqual(cases.map(({ ids }) => ids))
})

test.each([{}, { 'tokenizer.ggml.model': 'none' }, { 'tokenizer.ggml.model': 'no_vocab' }])(
  'a file with %j embeds no tokenizer',
  metadata => {
    expect(() => importGgufVocabulary(metadata, 'x.gguf')).toThrow(
      new HeedError('HEED_FILE_NOT_FOUND', 'x.gguf: there is no tokenizer in this file. Load one of its own.'),
    )
  },
)

describe('keys that break a rule', () => {
  const tokens = { 'tokenizer.ggml.tokens': ['<unk>', 'a'] }

  test.each([
    [
      { ...tokens, 'tokenizer.ggml.model': 'rwkv' },
      'tokenizer.ggml.model is "rwkv", expected llama, t5, gpt2, bert. Convert the model anew.',
    ],
    [
      { 'tokenizer.ggml.model': 'llama' },
      'tokenizer.ggml.tokens is missing, expected a list of texts. Convert the model anew.',
    ],
    [
      { ...tokens, 'tokenizer.ggml.model': 'llama', 'tokenizer.ggml.scores': 3 },
      'tokenizer.ggml.scores is 3, expected an array. Convert the model anew.',
    ],
    [
      { ...tokens, 'tokenizer.ggml.model': 'llama', 'tokenizer.ggml.unknown_token_id': 7 },
      'unk_id is 7, expected the id of a piece (0 to 1). Correct the file.',
    ],
    [
      {
        'tokenizer.ggml.model': 'llama',
        'tokenizer.ggml.tokens': ['a', 'b', 'a'],
        'tokenizer.ggml.unknown_token_id': 0,
      },
      'pieces 0 and 2 are both "a", expected each piece once. Correct the file.',
    ],
  ])('%o', (metadata, problem) => {
    expect(() => importGgufVocabulary(metadata)).toThrow(
      new HeedError('HEED_CONFIG_INVALID', `GGUF vocabulary: ${problem}`),
    )
  })

  test('a pre-tokenizer without a pattern is refused by name', () => {
    const metadata = { ...tokens, 'tokenizer.ggml.model': 'gpt2', 'tokenizer.ggml.pre': 'mystery' }
    expect(() => importGgufVocabulary(metadata)).toThrow(
      /^GGUF vocabulary: tokenizer\.ggml\.pre is "mystery", expected one of gpt-2, phi-2, .*deepseek-v3\. Convert the model anew\.$/,
    )
  })
})
