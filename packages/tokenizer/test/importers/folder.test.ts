import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { HeedError } from '../../src/errors.ts'
import { Tokenizer } from '../../src/tokenizer.ts'
import { readFixture } from '../fixture.ts'
import { readPlainFixture } from './plain-cases.ts'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'heed-tokenizer-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true })
})

async function put(files: Readonly<Record<string, string | Uint8Array>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content)
}

const { vocab, merges, cases } = readPlainFixture('byte-level-bpe')
const mergesText = `#version: 0.2\n${merges.map(pair => `${pair.join(' ')}\n`).join('')}`
const idsOf = (tokenizer: Tokenizer) => cases.map(({ text }) => [...tokenizer.encode(text).ids])
const expectedIds = cases.map(({ ids }) => ids)

describe("GPT-2's two files", () => {
  test.each([
    ['vocab.json', 'merges.txt'],
    ['encoder.json', 'vocab.bpe'],
  ])('%s with %s give the ids of the tokenizer.json', async (vocabName, mergesName) => {
    await put({ [vocabName]: JSON.stringify(vocab), [mergesName]: mergesText })
    const tokenizer = await Tokenizer.fromPretrained(folder)
    expect(idsOf(tokenizer)).toEqual(expectedIds)
    expect(tokenizer.specialToken('eos_token')).toBe('<|endoftext|>')
  })

  test('lines that end as on Windows are the same merges', async () => {
    await put({ 'vocab.json': JSON.stringify(vocab), 'merges.txt': mergesText.replaceAll('\n', '\r\n') })
    expect(idsOf(await Tokenizer.fromPretrained(folder))).toEqual(expectedIds)
  })

  test("with RoBERTa's tokens they are RoBERTa's", async () => {
    const roberta = readPlainFixture('roberta-bpe')
    await put({
      'vocab.json': JSON.stringify(roberta.vocab),
      'merges.txt': roberta.merges.map(pair => pair.join(' ')).join('\n'),
    })
    const tokenizer = await Tokenizer.fromPretrained(folder)
    const texts = roberta.cases.filter(({ text }) => text.startsWith(' ')) // that file adds a space before the others
    const encode = (text: string) => [...tokenizer.encode(text).ids]
    expect(texts.map(({ text }) => encode(text))).toEqual(texts.map(({ ids }) => ids))
    expect(tokenizer.encode(' a', { pair: ' b' }).tokens).toEqual(['<s>', 'Ġa', '</s>', '</s>', 'Ġb', '</s>'])
    expect(tokenizer.encode('x <mask>').tokens).toEqual(['<s>', 'x', ' <mask>', '</s>'])
  })

  test.each([
    ['a b c', 'line 1 is "a b c", expected two tokens with a space between. Fetch the file again.'],
    ['#version: 0.2\nab', 'line 2 is "ab", expected two tokens with a space between. Fetch the file again.'],
  ])('merges that are no pairs are refused (%j)', async (text, problem) => {
    await put({ 'vocab.json': '{"a": 0}', 'merges.txt': text })
    await expect(Tokenizer.fromPretrained(folder)).rejects.toThrow(
      new HeedError('HEED_FILE_INVALID', `merges.txt: ${problem}`),
    )
  })

  test('an id that is no integer is refused', async () => {
    await put({ 'vocab.json': '{"a": "0"}', 'merges.txt': '' })
    const message = 'vocab.json: a is "0", expected an integer from 0 on. Correct the file.'
    await expect(Tokenizer.fromPretrained(folder)).rejects.toThrow(new HeedError('HEED_CONFIG_INVALID', message))
  })
})

describe("BERT's vocab.txt", () => {
  const bert = readPlainFixture('wordpiece')
  const text = bert.tokens.map(token => `${token}\n`).join('')

  test('gives the ids of the tokenizer.json, by folder and by path', async () => {
    await put({ 'vocab.txt': text })
    const encode = (tokenizer: Tokenizer) => bert.cases.map(oracle => [...tokenizer.encode(oracle.text).ids])
    const expected = bert.cases.map(({ ids }) => ids)
    expect(encode(await Tokenizer.fromPretrained(folder))).toEqual(expected)
    expect(encode(await Tokenizer.fromFile(join(folder, 'vocab.txt')))).toEqual(expected)
  })

  test('keeps case and Chinese words where the config says so', async () => {
    await put({
      'vocab.txt': ['[UNK]', '[CLS]', '[SEP]', 'Hé', '##llo', '中文', '中', '文', ''].join('\r\n'),
      'tokenizer_config.json': '{"do_lower_case": false, "tokenize_chinese_chars": false, "model_max_length": 512}',
    })
    const tokenizer = await Tokenizer.fromPretrained(folder)
    expect(tokenizer.encode('Héllo 中文').tokens).toEqual(['[CLS]', 'Hé', '##llo', '中文', '[SEP]'])
    expect(tokenizer.config.model_max_length).toBe(512)
  })

  test('without a token that BERT needs it is refused', async () => {
    await put({ 'vocab.txt': '[UNK]\na\n' })
    const message =
      'vocab.txt: cls_token is "[CLS]", expected a line of the file. ' +
      'Add the line, or name the token in tokenizer_config.json.'
    await expect(Tokenizer.fromPretrained(folder)).rejects.toThrow(new HeedError('HEED_CONFIG_INVALID', message))
  })
})

describe('a SentencePiece model', () => {
  const models = readFixture<Record<string, { model: string }>>('sentencepiece')
  const bytes = (name: string) => Buffer.from(models[name]!.model, 'base64')

  test("under LLaMA's class begins a text with its token, unless the config says otherwise", async () => {
    await put({
      'tokenizer.model': bytes('bpe-llama'),
      'tokenizer_config.json': '{"tokenizer_class": "LlamaTokenizer"}',
    })
    expect((await Tokenizer.fromPretrained(folder)).encode('to be').tokens).toEqual(['<s>', '▁to', '▁be'])
    const config = '{"tokenizer_class": "LlamaTokenizerFast", "add_bos_token": false, "add_eos_token": true}'
    await put({ 'tokenizer_config.json': config })
    expect((await Tokenizer.fromPretrained(folder)).encode('to be').tokens).toEqual(['▁to', '▁be', '</s>'])
  })

  test("under T5's class ends a text with its token and has sentinels", async () => {
    await put({ 'spiece.model': bytes('unigram'), 'tokenizer_config.json': '{"tokenizer_class": "T5Tokenizer"}' })
    const tokenizer = await Tokenizer.fromPretrained(folder)
    expect(tokenizer.encode('<extra_id_0>').tokens).toEqual(['<extra_id_0>', '</s>'])
  })

  test('by path has no tokens around a text', async () => {
    await put({ 'tokenizer.model': bytes('bpe-llama') })
    expect((await Tokenizer.fromFile(join(folder, 'tokenizer.model'))).encode('to be').tokens).toEqual(['▁to', '▁be'])
  })
})

test('ranks under the name of a SentencePiece model are told by their text', async () => {
  const ranks = Array.from({ length: 256 }, (_, byte) => `${Buffer.of(byte).toString('base64')} ${byte}\n`).join('')
  await put({ 'tokenizer.model': ranks, 'gpt2.tiktoken': ranks, 'mine.tiktoken': ranks })
  expect((await Tokenizer.fromPretrained(folder)).encode('a').tokens).toEqual(['<|begin_of_text|>', 'a'])
  expect((await Tokenizer.fromFile(join(folder, 'gpt2.tiktoken'))).encode('a').ids).toEqual([97])
  await expect(Tokenizer.fromFile(join(folder, 'mine.tiktoken'))).rejects.toThrow(
    new HeedError(
      'HEED_ARGUMENT_INVALID',
      `${join(folder, 'mine.tiktoken')}: the name of a rank file tells its encoding, expected one of gpt2, r50k_base, ` +
        'p50k_base, p50k_edit, cl100k_base, o200k_base, llama3, qwen. ' +
        'Call importTiktoken with the pattern and special tokens instead.',
    ),
  )
})

test('what is no folder is told from a folder without a tokenizer', async () => {
  const missing = join(folder, 'missing')
  await expect(Tokenizer.fromPretrained(missing)).rejects.toThrow(
    new HeedError('HEED_FILE_NOT_FOUND', `${missing}: there is no such file or folder. Check the path.`),
  )
  const file = join(folder, 'notes.txt')
  await writeFile(file, 'words')
  const message = `${file}: this is a file, expected a folder with a tokenizer, or a .gguf file. Check the path.`
  await expect(Tokenizer.fromPretrained(file)).rejects.toThrow(new HeedError('HEED_FILE_NOT_FOUND', message))
})

test('a folder without any of the files is refused by the names of those that it could have', async () => {
  const message =
    `${folder}: there is no tokenizer.json in this folder, nor vocab.txt, vocab.json with merges.txt, ` +
    'encoder.json with vocab.bpe, tokenizer.model, spiece.model, sentencepiece.bpe.model. Check the path.'
  await expect(Tokenizer.fromPretrained(folder)).rejects.toThrow(new HeedError('HEED_FILE_NOT_FOUND', message))
})
