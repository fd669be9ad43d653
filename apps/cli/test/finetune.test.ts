import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { readSafetensors, tf } from '@heed/tensor-backend'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CliResult, heed } from './run-cli.ts'

const root = join(import.meta.dirname, '../../..')
const stories = join(root, 'packages/llama/test/fixtures/stories260K')
const bert = join(root, 'examples/models/countries-bert')
const opinions = join(root, 'examples/data/opinions.csv')
let folder: string
let text: string
let chats: string
let chatModel: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'heed-finetune-'))
  text = join(folder, 'text.txt')
  writeFileSync(text, readFileSync(join(root, 'data/tiny-shakespeare.txt'), 'utf8').slice(0, 8_000))
  chats = join(folder, 'chats.jsonl')
  const chat = (i: number): string =>
    JSON.stringify({
      messages: [
        { role: 'user', content: `What does Lily like, ${i % 5}?` },
        { role: 'assistant', content: 'Lily likes the big red ball.' },
      ],
    })
  writeFileSync(chats, Array.from({ length: 40 }, (_, i) => `${chat(i)}\n`).join(''))
  chatModel = join(folder, 'chat-model')
  cpSync(stories, chatModel, { recursive: true })
  const settings = JSON.parse(readFileSync(join(stories, 'tokenizer_config.json'), 'utf8'))
  const template =
    '{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}'
  const chatTemplate = { ...settings, chat_template: template }
  writeFileSync(join(chatModel, 'tokenizer_config.json'), JSON.stringify(chatTemplate))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const records = ({ stdout }: CliResult): Array<Record<string, number>> =>
  stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))
const done = (result: CliResult): Record<string, number> => {
  expect(result.code, result.stdout + result.stderr).toBe(0)
  return records(result).at(-1)!
}
const quick = ['--block-size', '32', '--batch-size', '4', '--json']

describe('a text', () => {
  test('is learned by the last layers, and the frozen ones are saved as they were', async () => {
    const out = join(folder, 'frozen')
    const args = ['--steps', '20', '--learning-rate', '0.002', '--freeze-layers', '4']
    const { validationLoss } = done(await heed(['finetune', stories, text, '--out', out, ...args, ...quick]))
    const untouched = await heed(['eval', 'perplexity', stories, text, '--json'])
    expect(validationLoss).toBeLessThan(JSON.parse(untouched.stdout).loss - 0.5)
    expect(readdirSync(out)).toEqual(expect.arrayContaining(['checkpoint-20', 'loss.png', 'metrics.jsonl', 'model']))
    const [before, after] = await Promise.all(
      [stories, join(out, 'model')].map(each => readSafetensors(join(each, 'model.safetensors'))),
    )
    const isSame = (key: string): boolean => before![key]!.dataSync().join() === after![key]!.dataSync().join()
    const q = (layer: number): string => `model.layers.${layer}.self_attn.q_proj.weight`
    expect([0, 1, 2, 3, 4].map(layer => isSame(q(layer)))).toEqual([true, true, true, true, false])
    expect(isSame('model.embed_tokens.weight')).toBe(true)
    tf.dispose([before!, after!])
  })

  test('is learned by an adapter on a GGUF file in few bits', async () => {
    const [gguf, out] = [join(folder, 'base.gguf'), join(folder, 'on-gguf')]
    expect((await heed(['quantize', stories, gguf, '--type', 'q8_0'])).code).toBe(0)
    const args = ['--steps', '15', '--learning-rate', '0.02', '--lora-r', '4']
    const result = await heed(['finetune', relative('.', gguf), text, '--out', out, ...args, ...quick])
    done(result)
    const losses = records(result).flatMap(({ loss }) => (loss === undefined ? [] : [loss]))
    expect(losses.at(-1)).toBeLessThan(losses[0]!)
    const config = JSON.parse(readFileSync(join(out, 'adapter/adapter_config.json'), 'utf8'))
    expect(config).toMatchObject({ r: 4, target_modules: ['q_proj', 'v_proj'], base_model_name_or_path: gguf })
    expect(existsSync(join(out, 'model'))).toBe(false)
    const inspected = JSON.parse((await heed(['inspect', join(out, 'adapter'), '--json'])).stdout)
    expect(inspected).toMatchObject({ config: { peft_type: 'LORA' }, numParameters: 5 * 4 * (64 + 64 + 64 + 32) })
    const said = await heed(['generate', join(out, 'adapter'), 'ROMEO:', '--max-new-tokens', '8', '--json'])
    expect(JSON.parse(said.stdout)).toMatchObject({ prompt: 'ROMEO:' })
  })
})

test('chats teach the answer to an adapter on a base in 4 bits, which says it as the model that --merge writes', async () => {
  const out = join(folder, 'chat')
  const options = ['--lora-r', '8', '--lora-alpha', '16', '--target-modules', 'q_proj,v_proj,up_proj,down_proj']
  const training = ['--quantize', 'q4_0', '--merge', '--steps', '60', '--learning-rate', '0.02', '--batch-size', '8']
  done(await heed(['finetune', chatModel, chats, '--out', out, ...options, ...training, '--json']))
  expect(readdirSync(join(out, 'adapter'))).toEqual(
    expect.arrayContaining(['adapter_config.json', 'adapter_model.safetensors', 'tokenizer.json']),
  )
  const prompt = 'user: What does Lily like, 3?\nassistant:'
  for (const name of ['model', 'adapter']) {
    const said = await heed(['generate', join(out, name), prompt, '--temperature', '0', '--max-new-tokens', '12'])
    expect(said.stdout).toContain('Lily likes the big red ball.')
  }
  const inFewBits = ['--dtype', 'q4_0', '--temperature', '0', '--max-new-tokens', '12']
  const chat = await heed(['chat', join(out, 'adapter'), ...inFewBits], { input: 'What does Lily like, 3?\n' })
  expect(chat.stdout).toContain('Lily likes the big red ball.')
})

test('what is saved is named, the merged model too, and goes on with the same adapter only', async () => {
  const out = join(folder, 'named')
  const training = ['--block-size', '32', '--batch-size', '4', '--steps', '1']
  const args = ['finetune', stories, text, '--out', out, '--lora-r', '2', '--merge', ...training]
  const { stderr } = await heed(args)
  expect(stderr).toContain(`${join(out, 'adapter')}, ${join(out, 'model')}, ${join(out, 'report.html')}\n`)
  expect((await heed(['inspect', out])).stderr).toContain(`Give ${join(out, 'model')}.`)
  // as many weights as before, which would be loaded without a word
  const scaled = await heed([...args, '--lora-alpha', '32', '--resume'])
  expect([scaled.code, scaled.stderr]).toEqual([
    2,
    expect.stringContaining(
      `error: heed finetune: --lora-alpha is 32, expected 8 as in the run in ${out}, with --resume. ` +
        'Give what the run began with, or begin another with --overwrite.\n',
    ),
  ])
  expect((await heed([...args, '--resume'])).code).toBe(0)
})

describe('labelled texts', () => {
  test('make a classifier that heed classify runs', async () => {
    const out = join(folder, 'classifier')
    const training = ['--epochs', '20', '--batch-size', '16', '--learning-rate', '0.003', '--validation-split', '0.25']
    const { accuracy } = done(await heed(['finetune', bert, opinions, '--out', out, ...training, '--json']))
    expect(accuracy).toBeGreaterThan(0.8)
    const { stdout } = await heed([
      'classify',
      join(out, 'model'),
      'I found the trip wonderful.',
      'The coffee was awful.',
    ])
    expect(stdout.split('\n').map(line => line.split('\t')[0])).toEqual(['positive', 'negative', ''])
  })

  test('Ctrl-C saves the adapter with its head, ends with code 130, and --resume ends as a run that was not stopped', async () => {
    const args = (out: string): string[] => [
      ...['finetune', bert, opinions, '--out', out, '--lora-r', '4', '--lora-dropout', '0.1', '--steps', '60'],
      ...['--learning-rate', '0.01', '--batch-size', '8', '--save-steps', '20', '--json'],
    ]
    const [whole, stopped] = [join(folder, 'whole'), join(folder, 'stopped')]
    const [result, interrupted] = await Promise.all([
      heed(args(whole)),
      heed(args(stopped), { interruptWhen: '"event":"log"' }),
    ])
    expect(interrupted.code).toBe(130)
    expect(records(interrupted).at(-1)).toMatchObject({ event: 'done', isInterrupted: true })
    const { validationLoss } = done(result)
    expect(done(await heed([...args(stopped), '--resume'])).validationLoss).toBe(validationLoss)
    const bytes = (out: string): Buffer => readFileSync(join(out, 'adapter/adapter_model.safetensors'))
    expect(bytes(stopped)).toEqual(bytes(whole))
    const config = JSON.parse(readFileSync(join(whole, 'adapter/adapter_config.json'), 'utf8'))
    expect(config).toMatchObject({ task_type: 'SEQ_CLS', modules_to_save: ['bert.pooler.dense', 'classifier'] })
  })
})

test('preferences of examples/recipes/happy-endings change what the model says, and it is like the model before', async () => {
  const out = join(folder, 'happy')
  const recipe = join(root, 'examples/recipes/happy-endings/recipe.yaml')
  const result = await heed(['finetune', '--recipe', recipe, '--out', out, '--json'])
  const { validationLoss } = done(result)
  expect(validationLoss).toBeLessThan(0.25) // ln 2 before
  const [first] = records(result).filter(({ evalLoss }) => evalLoss !== undefined)
  expect(first!.evalLoss).toBeLessThan(Math.LN2)
  const prompt = 'Ben saw a big dog. They were very'
  const say = async (model: string): Promise<string> =>
    (await heed(['generate', model, prompt, '--temperature', '0', '--max-new-tokens', '4'])).stdout
  expect(await say(stories)).toContain(`${prompt} scared`)
  expect(await say(join(out, 'model'))).toContain(`${prompt} happy`)
  const page = readFileSync(join(out, 'report.html'), 'utf8')
  expect(page).toMatch(/<td class="text"><b>Ben saw a big dog\. They were very<\/b> ?happy/)
})

describe('a data set on the hub', () => {
  const sha = 'c'.repeat(40)
  const files: Record<string, Buffer> = {
    'data/train.csv': readFileSync(opinions),
    'data/test.csv': readFileSync(opinions).subarray(0, 200),
    'stories/train.jsonl': Buffer.from(`${JSON.stringify({ story: 'Ben saw a big dog.' })}\n`.repeat(60)),
    'README.md': Buffer.from(
      '---\nconfigs:\n- config_name: opinions\n  data_dir: data\n- config_name: stories\n  data_dir: stories\n---\n',
    ),
  }
  let server: Server
  let env: Record<string, string>

  beforeAll(async () => {
    server = createServer((request, response) => {
      const siblings = Object.keys(files).map(rfilename => ({ rfilename }))
      if (request.url === '/api/datasets/tiny/rows/revision/main') response.end(JSON.stringify({ sha, siblings }))
      else {
        const bytes = files[request.url!.replace(`/datasets/tiny/rows/resolve/${sha}/`, '')]!
        const etag = createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex')
        response.writeHead(200, { etag: `"${etag}"`, 'content-length': bytes.length })
        response.end(request.method === 'HEAD' ? undefined : bytes)
      }
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    env = { HF_HOME: join(folder, 'hf'), HF_ENDPOINT: `http://127.0.0.1:${port}` }
  })
  afterAll(() => new Promise(resolve => server.close(resolve)))

  const dryRun = async (...args: string[]): Promise<string> => {
    const result = await heed(['finetune', ...args, '--out', join(folder, 'never'), '--dry-run'], { env })
    return result.stdout + result.stderr
  }

  test('is learned by its name, its split and its config; what it is for, its columns tell', async () => {
    const part = ['--config', 'opinions', '--split', 'train[:50%]', '--eval-split', 'train[-30:]+test[:2]']
    expect(await dryRun(bert, 'tiny/rows', ...part)).toContain(
      'classification: 60 examples, 32 to validate, labels negative, positive',
    )
    expect(await dryRun(bert, '--data', 'tiny/rows', '--config', 'opinions', '--validation-split', '0.25')).toContain(
      'classification: 90 examples, 30 to validate',
    )
    const file = join(folder, 'hub.yaml')
    writeFileSync(
      file,
      'data: { train: tiny/rows, config: stories, textColumn: story, split: "train[:40]" }\nblockSize: 8\n',
    )
    expect(await dryRun(chatModel, '--recipe', file)).toMatch(/text: \d+ examples, \d+ to validate/)
    expect(await dryRun(chatModel, '--recipe', file, '--split', 'test')).toContain(
      'tiny/rows: split is "test", expected one of train.',
    )
  })

  test('is prepared as a corpus, in part as well', async () => {
    const args = ['tiny/rows', '--config', 'stories', '--text-column', 'story', '--tokenizer', stories, '--no-eos']
    const prepare = async (split: string): Promise<number> => {
      const out = join(folder, 'corpus')
      const result = await heed(['data', 'prepare', ...args, '--split', split, '--out', out, '--json'], { env })
      return JSON.parse(result.stdout).numBytes
    }
    expect(await prepare('train')).toBe(60 * 18)
    expect(await prepare('train[:10%]+train[-1:]')).toBe(7 * 18)
    const file = join(folder, 'lines.txt')
    writeFileSync(file, 'one\ntwo\nthree\nfour\n')
    args[0] = file
    expect(await prepare('train[1:3]')).toBe('two\nthree\n'.length)
    args[0] = join(folder, 'lines.csv')
    writeFileSync(args[0], 'id,story\n1,one\n2,three\n') // rows by the file's name
    expect(await prepare('train')).toBe('onethree'.length)
  })
})

describe('a recipe', () => {
  const recipe = (content: string): string => {
    const file = join(folder, 'recipe.yaml')
    writeFileSync(file, content)
    return file
  }

  test('says all of a run, options go before it, and --dry-run writes nothing', async () => {
    const file = recipe(
      'task: text\nmodel: chat-model\ndata:\n  train: text.txt\nlora: { r: 2, targetModules: [q_proj] }\n' +
        'blockSize: 32\ntraining: { maxSteps: 50, perDeviceTrainBatchSize: 4 }\n',
    )
    const out = join(folder, 'dry')
    const run = async (...options: string[]): Promise<Record<string, number>> =>
      done(await heed(['finetune', '--recipe', file, '--out', out, '--dry-run', '--json', ...options]))
    expect(await run()).toMatchObject({
      ...{ event: 'dryRun', numParameters: 260_032 + 5 * 2 * 128, numTrainable: 5 * 2 * 128 },
      ...{ steps: 50, tokensPerStep: 4 * 32, tokens: 50 * 4 * 32 },
      weightBytes: 4 * (260_032 + 2 * 5 * 2 * 128),
    })
    expect(await run('--lora-r', '4', '--steps', '10')).toMatchObject({ numTrainable: 5 * 4 * 128, steps: 10 })
    const few = await run('--quantize', 'q8_0')
    expect(few.numParameters).toBe(260_032 + 5 * 2 * 128)
    expect(few.weightBytes).toBeLessThan(600_000)
    expect(existsSync(out)).toBe(false)
  })

  test.each([
    ['lora: { rank: 4 }', 'lora.rank is 4, expected only the keys r, loraAlpha'],
    ['quantise: q4_0', 'quantise is "q4_0", expected no such key. Write quantize.'],
    ['task: chats', 'task is "chats", expected one of text, chat, classification, preference.'],
    ['data: { train: 3 }', 'data.train is 3, expected a file name, or a list of them.'],
    ['training: { learningRat: 1 }', 'learningRat is not an option, expected learningRate.'],
    ['dpo: { beta: 1 }', 'the task is text, expected preference with --dpo-beta or dpo.', 2],
    ['task: preference\ndpo: { bta: 1 }', 'dpo.bta is 1, expected no such key. Write dpo.beta.'],
    ['lora: { r: 0 }', 'LoraConfig: r is 0, expected an integer at least 1.'],
  ])('with %s is refused by name', async (line, message, code = 1) => {
    const given = `model: ${chatModel}\n${line.startsWith('data') ? '' : 'data: { train: text.txt }\n'}blockSize: 32\n`
    const result = await heed(['finetune', '--recipe', recipe(given + line), '--out', join(folder, 'never')])
    expect(result.code).toBe(code)
    expect(result.stderr).toContain(message)
    expect(result.stderr.match(/error/g)).toHaveLength(1)
    expect(existsSync(join(folder, 'never', 'checkpoint-1'))).toBe(false)
  })
})

test.each([
  [[], 'the model is missing, expected an HF folder or hub id, or a .gguf file. Name one.'],
  [['MODEL'], 'files are missing, expected some to learn from. Name them.'],
  [['MODEL', 'TEXT', '--quantize', 'q4_0'], '--quantize is q4_0, expected it with --lora-r only'],
  [['MODEL', 'TEXT', '--lora-r', '2', '--freeze-layers', '1'], '--freeze-layers is 1, expected none with --lora-r'],
  [['MODEL', 'TEXT', '--merge'], '--merge is given, expected it with --lora-r only'],
  [['MODEL', 'TEXT', '--quantize', 'q3'], "argument 'q3' is invalid. Allowed choices are q8_0, q4_0."],
  [['MODEL', 'TEXT', '--task', 'classification'], 'expected .jsonl, .csv, .tsv, .parquet, .arrow or a data set here'],
  [
    ['MODEL', 'TEXT', '--eval-split', 'test', '--validation-split', '0.2'],
    '--eval-split is test, expected it or --validation-split',
  ],
])('wrong use %j ends with code 2 and says how to mend it', async (args, message) => {
  const paths: Record<string, string> = { MODEL: stories, TEXT: text }
  const given = args.map(arg => paths[arg] ?? arg)
  const { code, stderr } = await heed(['finetune', ...given, '--out', join(folder, 'never')])
  expect(stderr).toContain(message)
  expect(code).toBe(2)
})

test.each([
  ['', 'text', 0],
  [JSON.stringify({ prompt: 'a', chosen: 'b', rejected: 'c' }), 'preference', 1],
  [JSON.stringify({ text: 'good', label: 'a' }), 'classification', 1],
])('a file with rows %j is too little for %s', async (rows, task, numExamples) => {
  const [file, out] = [join(folder, `few-${task}-${numExamples}.jsonl`), join(folder, 'never')]
  writeFileSync(file, rows)
  const { code, stderr } = await heed(['finetune', stories, file, '--out', out, '--task', task])
  expect([code, stderr]).toEqual([
    2,
    expect.stringContaining(
      `error: heed finetune: the data has ${numExamples} example${numExamples === 1 ? '' : 's'}, expected at least 2, of which one is ` +
        'kept for validation. Give more, or others by --validation.\n',
    ),
  ])
})

test('a model without a chat template, layers that are not there, and rows without columns are named', async () => {
  const out = join(folder, 'never')
  const [plain, layers, rows] = await Promise.all([
    heed(['finetune', stories, chats, '--out', out]),
    heed(['finetune', stories, text, '--out', out, '--block-size', '32', '--freeze-layers', '9']),
    heed(['finetune', bert, chats, '--out', out, '--task', 'classification']),
  ])
  expect(plain!.stderr).toContain(`${stories}: chat_template is missing, expected one to write chats with.`)
  expect(layers!.stderr).toContain('freezeLayers: count is 9, expected an integer from 1 to the 5 layers of the model.')
  expect(rows!.stderr).toContain(
    'label of a row is undefined, expected one in every row. This one has the columns messages.',
  )
  expect([plain, layers, rows].map(result => result!.code)).toEqual([1, 1, 1])
})
