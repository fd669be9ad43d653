import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { init } from '@heed/tensor-backend'
import { openPretrained } from '@heed/transformer'
import { LlamaForCausalLM, llamaConfig, writeGgufModel } from 'heed'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { heed, typeInto } from './run-cli.ts'

const stories = join(import.meta.dirname, '../../../packages/llama/test/fixtures/stories260K')
let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'heed-models-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

test('convert, quantize and eval perplexity: a model through GGUF and back foresees a text as well, in few bits a little worse', async () => {
  const [gguf, back, small] = ['model.gguf', 'back', 'q4.gguf'].map(name => join(folder, name)) as [
    string,
    string,
    string,
  ]
  expect((await heed(['convert', stories, gguf])).code).toBe(0)
  expect((await heed(['convert', gguf, back, '--json'])).stdout).toContain('"hasTokenizer":true')
  expect((await heed(['quantize', back, small, '--type', 'q8_0'])).code).toBe(0)
  const lossOf = async (model: string): Promise<number> => {
    const { stdout } = await heed(['eval', 'perplexity', model, join(stories, 'LICENSE'), '--json'])
    return JSON.parse(stdout).loss
  }
  // transformers gives 7.183219 for the windows of this text.
  expect(await lossOf(back)).toBeCloseTo(7.183219, 4)
  expect(Math.abs((await lossOf(small)) - 7.183219)).toBeLessThan(0.05)
  const refused = await heed(['convert', stories, join(folder, 'few-bits'), '--type', 'q4_0'])
  expect(refused.code).toBe(2)
  expect(refused.stderr).toContain('convert: type is q4_0, expected f32, f16 or bf16 for a HuggingFace folder.')
})

test('a model without a tokenizer is converted, which is said, and is not generated with', async () => {
  const [gguf, back] = [join(folder, 'bare.gguf'), join(folder, 'bare')]
  await writeGgufModel(gguf, await openPretrained(stories))
  const { code, stderr } = await heed(['convert', gguf, back])
  expect([code, stderr]).toEqual([0, 'It has no tokenizer, since the model came without one: give --tokenizer.\n'])
  expect(readdirSync(back)).not.toContain('tokenizer.json')
  expect((await heed(['generate', gguf, 'x'])).stderr).toBe(
    `error: ${gguf}: this model comes without a tokenizer, expected a folder with both. ` +
      `Make it, and load that: heed convert ${gguf} <folder> --tokenizer <path>.\n`,
  )
})

/** A llama2.c file of version 2, one layer of width 8: seven sizes, a shared head, groups of 4, then zeros. */
function llama2cFile(): Buffer {
  const file = Buffer.alloc(256 + 4 * (3 * 8) + 2 * (10 * 8 + 4 * 8 * 8 + 3 * 16 * 8))
  for (const [i, value] of [0x616b3432, 2, 8, 16, 1, 2, 2, 10, 4].entries()) file.writeInt32LE(value, 4 * i)
  file[36] = 1
  file.writeInt32LE(4, 37)
  return file
}

test('inspect shows what a llama2.c file holds, and says when one is truncated', async () => {
  const [whole, cut, headless] = ['whole.bin', 'cut.bin', 'headless.bin'].map(name => join(folder, name))
  writeFileSync(whole!, llama2cFile())
  writeFileSync(cut!, llama2cFile().subarray(0, 1000))
  writeFileSync(headless!, llama2cFile().subarray(0, 100))
  const inspected = JSON.parse((await heed(['inspect', whole!, '--json'])).stdout)
  const sizes = { dim: 8, hidden_dim: 16, n_layers: 1, n_heads: 2, n_kv_heads: 2, vocab_size: 10, max_seq_len: 4 }
  expect(inspected.config).toEqual({ version: 2, ...sizes, shared_classifier: true, group_size: 4 })
  expect(inspected).toMatchObject({ numParameters: 744, numBytes: 1536 })
  expect(inspected.tensors).toContainEqual({ name: 'model.norm.weight', dtype: 'F32', shape: [8] })
  expect(inspected.tensors).toContainEqual({ name: 'model.embed_tokens.weight', dtype: 'Q8_0', shape: [10, 8] })
  expect(await heed(['inspect', cut!])).toEqual({
    code: 1,
    stdout: '',
    stderr:
      `error: ${cut}: it has 1000 bytes, expected 1792 for a llama2.c checkpoint of version 2 with its sizes. ` +
      'The file is truncated or of another format.\n',
  })
  expect((await heed(['inspect', headless!])).stderr).toContain(
    'it has 100 bytes, expected at least 256 as in the header',
  )
})

test('inspect shows what a GGUF file holds', async () => {
  const gguf = join(folder, 'inspected.gguf')
  expect((await heed(['convert', stories, gguf])).code).toBe(0)
  const inspected = JSON.parse((await heed(['inspect', gguf, '--json'])).stdout)
  expect(inspected).toMatchObject({ config: { 'general.architecture': 'llama' }, numParameters: 260032 })
  expect(inspected.tensors).toContainEqual({ name: 'blk.0.attn_q.weight', dtype: 'F32', shape: [64, 64] })
  const { stdout: shown } = await heed(['inspect', gguf])
  expect(shown).toMatch(/^ {2}general\.architecture +llama$/m)
  expect(shown).toMatch(/^260,032 parameters, [\d.]+ KB in 47 tensors$/m)
  expect(shown).toMatch(/^ {2}blk\.0\.attn_q\.weight +F32 +\[64, 64\]$/m)
})

test('eval perplexity of nothing is one clear error', async () => {
  const empty = await heed(['eval', 'perplexity', stories])
  expect([empty.code, empty.stderr]).toEqual([
    2,
    'error: heed eval perplexity: standard input is empty, expected a text. Pipe one, or name files.\n',
  ])
})

test('convert and quantize leave no file when they are interrupted', async () => {
  await init()
  const large = join(folder, 'large')
  const config = { vocabSize: 2048, hiddenSize: 1024, intermediateSize: 2816, numHiddenLayers: 4 }
  const model = new LlamaForCausalLM(llamaConfig.complete({ ...config, numAttentionHeads: 8, tieWordEmbeddings: true }))
  await model.savePretrained(large)
  model.dispose()
  const runs = [
    { args: ['quantize', large, 'model.gguf', '--type', 'q4_k'], signal: 'SIGINT' },
    { args: ['convert', large, 'model.gguf'], signal: 'SIGTERM' },
    { args: ['convert', large, 'model'], signal: 'SIGINT' },
  ] as const
  for (const [i, { args, signal }] of runs.entries()) {
    const [command, source, name, ...options] = args
    const parent = join(folder, `interrupted-${i}`)
    mkdirSync(parent)
    const out = join(parent, name)
    const files = (): string[] => readdirSync(parent, { recursive: true }).map(String)
    const { code, stderr } = await heed([command, source, out, ...options], {
      interruptWhen: () => files().some(file => file.endsWith('.tmp')),
      signal,
    })
    expect([code, stderr]).toEqual([
      130,
      `error: ${out}: writing it was interrupted. Run the command again to have it.\n`,
    ])
    expect(files().filter(file => file !== 'model')).toEqual([])
  }
})

test('what is not there, and what is a file, is said to be so', async () => {
  const missing = join(folder, 'missing')
  const gguf = 'missing/missing.gguf' // no name on the hub
  const license = join(stories, 'LICENSE')
  const found = await Promise.all([
    heed(['generate', missing, 'x']),
    heed(['generate', gguf, 'x']),
    heed(['generate', license, 'x']),
    heed(['inspect', missing]),
    heed(['tokenizer', 'inspect', join(missing, 'tokenizer.json')]),
  ])
  expect(found.map(({ stderr }) => stderr)).toEqual([
    `error: ${missing}: there is no such file or folder. Check the path.\n`,
    `error: ${gguf}: there is no such file. Check the path.\n`,
    `error: ${license}: this is a file, expected a folder with a tokenizer, or a .gguf file. Check the path.\n`,
    `error: ${missing}: there is no such file or folder. Check the path.\n`,
    `error: ${join(missing, 'tokenizer.json')}: there is no such file or folder. Check the path.\n`,
  ])
})

test('chat answers, keeps and takes back what was said, and Ctrl-C stops an answer and not the program', async () => {
  const saved = join(folder, 'chat.json')
  const greedy = ['chat', stories, '--temperature', '0']
  const lines = (...text: string[]): string => `${text.join('\n')}\n`
  const told = await heed([...greedy, '--max-new-tokens', '12'], {
    input: lines(
      'nothing',
      '/undo',
      '"""',
      'Once upon',
      'a time\\',
      '"""',
      '/undo',
      'Once upon \\',
      'a time',
      `/save ${saved}`,
    ),
  })
  expect(told.code).toBe(0)
  const conversation = JSON.parse(readFileSync(saved, 'utf8'))
  expect(conversation.map(({ role }: { role: string }) => role)).toEqual(['user', 'assistant'])
  expect(conversation[0].content).toBe('Once upon \na time')
  expect(told.stdout).toContain(conversation[1].content)

  const twice = { input: lines('Once upon a time', 'Once upon a time', 'Once upon a time') }
  const long = await heed(['chat', stories, '--temperature', '1', '--seed', '3'], twice)
  expect([long.code, long.stderr]).toEqual([0, '']) // the oldest is left out: no more than the model was trained on

  const stopped = await heed([...greedy, '--max-new-tokens', '400'], {
    input: lines('Once upon a time', '/nonsense'),
    interruptWhen: 'little',
  })
  expect(stopped.code).toBe(0)
  expect(stopped.stdout).toMatch(/\[stopped\]\S*\nThere is no \/nonsense; \/help lists commands\./)
})

test('chat continues what is written as one text where the list of chat templates is empty', async () => {
  const model = join(folder, 'no-templates')
  cpSync(stories, model, { recursive: true })
  const file = join(model, 'tokenizer_config.json')
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), chat_template: [] }))
  const [own, without] = await Promise.all(
    [stories, model].map(each =>
      heed(['chat', each, '--temperature', '0', '--max-new-tokens', '4'], { input: 'Once upon a time\n' }),
    ),
  )
  expect(without).toEqual(own)
  expect(without!.stdout).toBe(', there was a\n')
})

test('chat drops a message of several lines at Ctrl-C', async () => {
  const saved = join(folder, 'dropped.json')
  const { code } = await typeInto(
    ['chat', stories, '--temperature', '0', '--max-new-tokens', '4'],
    [
      ['> ', 'not this\\\r'],
      ['  ', '\x03'],
      ['> ', '"""\r'],
      ['  ', 'nor this\r'],
      ['  ', '\x03'],
      ['> ', 'Once upon a time\r'],
      ['> ', `/save ${saved}\r`],
      ['> ', '/exit\r'],
    ],
  )
  expect(code).toBe(0)
  const conversation = JSON.parse(readFileSync(saved, 'utf8')) as { content: string }[]
  expect(conversation.map(({ content }) => content)[0]).toBe('Once upon a time')
  expect(conversation).toHaveLength(2)
})

test('bench gives the rates of reading, writing, and writing many texts at once', async () => {
  const args = ['bench', stories, '--prompt-tokens', '8', '--new-tokens', '4', '--streams', '2', '--rounds', '1']
  const { tokensPerSecond, ...rest } = JSON.parse((await heed([...args, '--json'])).stdout)
  expect(rest).toMatchObject({ numParameters: 260032, promptTokens: 8, streams: 2 })
  for (const name of ['prefill', 'decode', 'batch']) expect(tokensPerSecond[name], name).toBeGreaterThan(0)
  const refusals = [
    ['--prompt-tokens', '600', '--prompt-tokens is 600 and --new-tokens 4'],
    ['--new-tokens', '99999999999', '--prompt-tokens is 8 and --new-tokens 99999999999'],
  ] as const
  for (const [option, value, what] of refusals) {
    const { code, stderr } = await heed([...args, option, value])
    const rule = 'expected at most the 512 tokens of the context in both. Lower one.'
    expect([code, stderr]).toEqual([2, `error: heed bench: ${what}, ${rule}\n`])
  }
  expect((await heed([...args, '--streams', '99999999999'])).stderr).toContain(
    'Expected a whole number from 1 to 4096.',
  )
})
