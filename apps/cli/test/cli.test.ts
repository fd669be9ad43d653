import { spawnSync } from 'node:child_process'
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { heed, main } from './run-cli.ts'

let folder: string
let text: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'heed-cli-'))
  text = join(folder, 'text.txt')
  const corpus = readFileSync(join(import.meta.dirname, '..', '..', '..', 'data', 'tiny-shakespeare.txt'), 'utf8')
  writeFileSync(text, corpus.slice(0, 60_000))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const tiny = [
  '--hidden-size',
  '32',
  '--intermediate-size',
  '64',
  '--num-hidden-layers',
  '1',
  '--num-attention-heads',
  '2',
]
const short = ['--num-key-value-heads', '1', '--block-size', '16', '--batch-size', '4', '--vocab-size', '300']

describe('help and wrong use', () => {
  test('help lists every command, and every command has its own', async () => {
    const [all, one] = await Promise.all([heed(['--help']), heed(['help', 'translate'])])
    const models = ['generate', 'fill-mask', 'classify', 'embed', 'translate']
    for (const command of ['quickstart', 'train', 'tokenizer', 'inspect', 'doctor', ...models]) {
      expect(all!.stdout).toMatch(new RegExp(`^ {2}${command} `, 'm'))
    }
    expect([all!.code, one!.code]).toEqual([0, 0])
    expect(one!.stdout).toContain('Usage: heed translate [options] <model> [texts...]')
  })

  test('help, the version and wrong use load no package of Heed, but for its errors', async () => {
    const refusing = `export const resolve = (name, context, next) => {
      if (/^(heed|@heed\\/.*)$/.test(name) && !name.endsWith('/errors')) throw new Error(name + ' was loaded')
      return next(name, context)
    }`
    const url = (code: string): string => `data:text/javascript,${encodeURIComponent(code)}`
    const env = {
      NODE_OPTIONS: `--import ${url(`import { register } from 'node:module'; register(${JSON.stringify(url(refusing))})`)}`,
    }
    const calls = [['--help'], ['--version'], ['train', '--help'], ['generate'], ['completion', 'bash'], ['doctor']]
    const found = await Promise.all(calls.map(args => heed(args, { env })))
    expect(found.map(({ code }) => code)).toEqual([0, 0, 0, 2, 0, 1])
    expect(found.at(-1)!.stderr).toContain('@heed/tensor-backend was loaded')
  })

  test('words of a text without quotes, and arguments too many, are refused with how to mend it', async () => {
    const calls = ['generate m Once upon a', 'tokenizer inspect t Once upon', 'chat m hello there', 'doctor now']
    const said = await Promise.all(calls.map(call => heed(call.split(' '))))
    const help = '\n(add --help for the options)\n'
    expect(said.map(({ code, stdout, stderr }) => [code, stdout, stderr.replace(/\n+/g, '\n')])).toEqual([
      [2, '', `error: prompt is 3 arguments, expected one text. Put it in quotes: "Once upon a".${help}`],
      [2, '', `error: text is 2 arguments, expected one text. Put it in quotes: "Once upon".${help}`],
      [2, '', `error: too many arguments for 'chat': hello, there. Expected 1, got 3.${help}`],
      [2, '', `error: too many arguments for 'doctor': now. Expected 0, got 1.${help}`],
    ])
  })

  test('an unknown option ends with code 2 and names it', async () => {
    const { code, stderr } = await heed(['doctor', '--jsn'])
    expect(code).toBe(2)
    expect(stderr).toContain("unknown option '--jsn'")
  })

  test('paths, numbers and files that cannot be meant are refused by name', async () => {
    const empty = join(folder, 'empty.txt')
    writeFileSync(empty, '')
    const wrong: [string[], string][] = [
      [['convert', folder, ''], "argument 'out' is empty, expected a path."],
      [['train', text, '--out', ''], "option '--out <folder>' is empty, expected a path."],
      [['generate', folder, 'x', '--seed', ''], 'Expected a whole number of at least 0.'],
      [['generate', folder, 'x', '--seed', '1e99'], 'Expected a whole number from 0 to 9007199254740991.'],
      [['quickstart', '--out', text], `--out is ${text}, a file, expected a folder.`],
      [['inspect', text], `${text} is a file of another kind, expected a folder, or a .safetensors, .gguf,`],
      [['tokenizer', 'train', folder, '--out', join(folder, 'no')], `${folder}: this is a folder, expected a file.`],
      [['tokenizer', 'inspect', empty], `${empty}: cls_token is "[CLS]", expected a line of the file.`],
    ]
    const found = await Promise.all(wrong.map(([args]) => heed(args)))
    for (const [i, { stderr }] of found.entries()) expect(stderr).toContain(wrong[i]![1])
  })

  test('what a run cannot be written to, or go on from, is said before anything is computed', async () => {
    const none = join(folder, 'none')
    const [onFile, resumed, port] = await Promise.all([
      heed(['train', text, '--out', text]),
      heed(['train', text, '--out', none, '--resume']),
      heed(['serve', none, '--port', '99999999']),
    ])
    const wrong: [string[], string][] = [
      [[], 'files are missing, expected text files, or one folder that heed data prepare made. Name them.'],
      [
        [folder],
        `a file is ${folder}, a folder, expected text files, or one folder that heed data prepare made. Name them.`,
      ],
      [['--recipe', 'x', '--steps', '5'], '--steps is given, expected it in the file with --recipe. Write it there.'],
      [
        ['--model', 'x', '--hidden-size', '8'],
        '--hidden-size is given, expected it without --model, which has its own sizes. Leave one of them out.',
      ],
    ]
    const said = await Promise.all(wrong.map(([args]) => heed(['train', ...args, '--out', none])))
    expect(said.map(({ stderr }) => stderr)).toEqual(wrong.map(([, message]) => `error: heed train: ${message}\n`))
    expect([onFile!.code, onFile!.stderr]).toEqual([
      2,
      `error: --out is ${text}, a file, expected a folder. Choose another one.\n`,
    ])
    expect(resumed!.code).toBe(2)
    expect(resumed!.stderr).toContain(
      `error: --out is ${none}, where no run was begun, expected one with --resume. Check the folder, or leave --resume out.\n`,
    )
    expect(port!.code).toBe(2)
    expect(port!.stderr).toContain('Expected a whole number from 0 to 65535.')
  })

  test('a number out of range ends with code 2 and says what was expected', async () => {
    const { code, stderr } = await heed(['quickstart', '--steps', '0'])
    expect(code).toBe(2)
    expect(stderr).toContain("option '--steps <n>' argument '0' is invalid. Expected a whole number of at least 1.")
  })

  test('a missing file ends with code 1, one error, and nothing written', async () => {
    const out = join(folder, 'none')
    const { code, stdout, stderr } = await heed(['train', join(folder, 'absent.txt'), '--out', out, '--json'])
    expect(code).toBe(1)
    expect(stderr).toBe('')
    expect(JSON.parse(stdout).error.code).toBe('HEED_FILE_NOT_FOUND')
    expect(readdirSync(folder)).not.toContain('none')
  })

  test('an empty corpus is one clear error', async () => {
    const empty = join(folder, 'empty.txt')
    writeFileSync(empty, '')
    const { code, stderr } = await heed(['quickstart', '--data', empty, '--out', join(folder, 'none')])
    expect(code).toBe(1)
    expect(stderr).toBe(`error: ${empty}: the file is empty, expected text. Check the path.\n`)
  })

  test('a run that cannot begin leaves no folder', async () => {
    const [few, model] = [join(folder, 'few.txt'), join(folder, 'absent')]
    writeFileSync(few, 'hello world\n')
    const out = (run: string) => join(folder, `left by ${run}`, 'run')
    const runs = await Promise.all([
      heed(['train', few, '--out', out('train'), ...tiny]),
      heed(['quickstart', '--data', few, '--out', out('quickstart')]),
      heed(['finetune', model, few, '--out', out('finetune')]),
    ])
    expect(runs.map(({ stderr }) => stderr)).toEqual([
      expect.stringContaining('error: training text: the text has 10 tokens, expected at least blockSize (128).'),
      expect.stringContaining('error: training text: the text has 10 tokens, expected at least blockSize (128).'),
      expect.stringContaining(`error: ${model}: there is no such file or folder.`),
    ])
    expect(readdirSync(folder).filter(name => name.startsWith('left'))).toEqual([])
  })

  test('a backend that is not there is refused by name', async () => {
    const { code, stderr } = await heed(['generate', folder, 'x'], { env: { HEED_BACKEND: 'cuda' } })
    expect(code).toBe(2)
    expect(stderr).toBe(
      'error: HEED_BACKEND is "cuda", expected one of auto, native, wasm, webgpu, cpu. Leave it out to take the fastest.\n',
    )
  })
})

test('doctor names the chosen backend and a reason for each that cannot run', async () => {
  const { code, stdout } = await heed(['doctor', '--json'])
  expect(code).toBe(0)
  const report = JSON.parse(stdout)
  expect(report.backends.map((finding: { backend: string }) => finding.backend)).toEqual([
    'native',
    'wasm',
    'webgpu',
    'cpu',
  ])
  const chosen = report.backends.find((finding: { isAvailable: boolean }) => finding.isAvailable)
  expect(report.chosen).toBe(chosen.backend)
  for (const { isAvailable, reason } of report.backends) if (!isAvailable) expect(reason.length).toBeGreaterThan(10)
})

test('train saves a folder that inspect reads and generate continues from, the same for the same seed', async () => {
  const out = join(folder, 'run')
  const trained = await heed(['train', text, '--out', out, '--steps', '12', ...tiny, ...short])
  expect(trained.stderr).toContain('trained')
  expect(trained.stderr).toMatch(/^train 100% 0s left loss \d\.\d+ {2}lr \S+ {2}[\d,]+ tokens\/s {2}\d+\.\d [MG]B$/m)
  expect(trained.code).toBe(0)
  expect(readdirSync(out)).toEqual(expect.arrayContaining(['loss.png', 'loss.svg', 'metrics.jsonl', 'model']))

  const ofRun = await Promise.all([heed(['generate', out, 'x']), heed(['train', text, '--out', out, '--model', out])])
  for (const { code, stderr } of ofRun) {
    expect(code).toBe(2)
    expect(stderr).toContain(
      `error: model is ${out}, the folder of a run, expected its model. Give ${join(out, 'model')}.\n`,
    )
  }

  const inspected = await heed(['inspect', join(out, 'model'), '--json'])
  const report = JSON.parse(inspected.stdout)
  expect(report.config.architectures).toEqual(['LlamaForCausalLM'])
  expect(report.tensors.map(({ name }: { name: string }) => name)).toContain('model.layers.0.self_attn.q_proj.weight')

  const generate = ['generate', join(out, 'model'), 'KING', '--max-new-tokens', '12', '--seed', '7']
  const first = await heed(generate)
  expect(first.code).toBe(0)
  expect(first.stdout.startsWith('KING')).toBe(true)
  expect((await heed(generate)).stdout).toBe(first.stdout)
  const beyond = await heed(['generate', join(out, 'model'), 'KING', '--max-new-tokens', '40', '--temperature', '0'])
  expect(beyond.code).toBe(0)
  expect(beyond.stderr).toMatch(/^heed generate: the text has 17 tokens, but the model was trained on 16 [^\n]+\n$/)
  const both = openSync(join(folder, 'both.txt'), 'w')
  const args = [main, 'generate', join(out, 'model'), 'KING', '--max-new-tokens', '40', '--temperature', '0']
  spawnSync(process.execPath, args, { stdio: ['ignore', both, both] })
  closeSync(both)
  expect(readFileSync(join(folder, 'both.txt'), 'utf8')).toBe(beyond.stdout + beyond.stderr) // after the text
})

test('heads that do not fit are refused before any work, and by default each odd one has keys of its own', async () => {
  const out = join(folder, 'heads')
  const args = [
    'train',
    text,
    '--out',
    out,
    '--steps',
    '1',
    '--block-size',
    '16',
    '--hidden-size',
    '24',
    '--vocab-size',
    '300',
  ]
  const [uneven, shared] = await Promise.all([
    heed([...args, '--num-attention-heads', '5']),
    heed([...args, '--num-attention-heads', '3', '--num-key-value-heads', '2']),
  ])
  expect(uneven.stderr).toBe(
    'error: config: numAttentionHeads is 5, expected a divisor of hiddenSize (24). Change one of them, or set headDim.\n',
  )
  expect(shared.stderr).toMatch(/^error: config: numAttentionHeads is 3, expected a multiple of numKeyValueHeads \(2\)/)
  expect((await heed([...args, '--num-attention-heads', '3'])).code).toBe(0)
  const config = JSON.parse(readFileSync(join(out, 'model', 'config.json'), 'utf8'))
  expect(config).toMatchObject({ num_attention_heads: 3, num_key_value_heads: 3 })
})

test('the learning rate goes by the schedule that is named, which is checked before anything is computed', async () => {
  const out = join(folder, 'plateau')
  const args = ['train', text, '--out', out, '--steps', '8', '--eval-steps', '2', ...tiny, ...short]
  const schedule = (name: string, kwargs: string): string[] => [
    ...['--lr-scheduler-type', name, '--lr-scheduler-kwargs', kwargs],
  ]
  const plateau = schedule('reduce_lr_on_plateau', '{"patience": 0, "factor": 0.5, "threshold": 0.9}')
  const wrong: [string[], string][] = [
    [schedule('cosin', '{}'), 'error: TrainingArguments: lrSchedulerType is "cosin", expected one of linear, cosine,'],
    [schedule('cosine', '0.1'), 'Expected a JSON object such as {"minLrRate": 0.1}.'],
    [
      schedule('cosine', '{"minLrRate": 0.1}'),
      'lrSchedulerKwargs.minLrRate is no option of cosine, expected numCycles. ' +
        'Leave it out, or choose cosine_with_min_lr or cosine_warmup_with_min_lr.',
    ],
  ]
  const found = await Promise.all(wrong.map(([given]) => heed([...args, ...given])))
  for (const [i, { stderr }] of found.entries()) {
    expect(stderr).toContain(wrong[i]![1])
    expect(stderr).not.toContain('backend')
  }
  const dry = JSON.parse((await heed([...args, ...plateau, '--dry-run', '--json'])).stdout.trim().split('\n').at(-1)!)
  expect(dry).toMatchObject({ event: 'dryRun', steps: 8 })
  expect((await heed([...args, ...plateau, '--learning-rate', '0.008'])).code).toBe(0)
  const lines = readFileSync(join(out, 'metrics.jsonl'), 'utf8').trim().split('\n')
  const rates = lines.map(line => JSON.parse(line).learning_rate).filter(rate => rate !== undefined)
  expect(rates.at(-1)).toBe(0.002) // of step 8, after the bad evaluations of steps 4 and 6
})

test.each([
  [['train', 'TEXT', '--out', 'OUT']],
  [['finetune', 'MODEL', 'TEXT', '--out', 'OUT']],
  [['quickstart', '--out', 'OUT']],
  [['tokenizer', 'train', 'TEXT', '--out', 'OUT']],
])('a folder that cannot be made is said before any work: %j', async args => {
  const model = join(import.meta.dirname, '..', '..', '..', 'packages', 'llama', 'test', 'fixtures', 'stories260K')
  const values: Record<string, string> = { TEXT: text, MODEL: model, OUT: join(text, 'out') }
  expect(await heed(args.map(word => values[word] ?? word))).toEqual({
    code: 1,
    stdout: '',
    stderr: `error: ${text}: this, or a folder on the way to it, is a file, expected a folder. Check the path.\n`,
  })
})

test('Ctrl-C saves a checkpoint, ends with code 130, and --resume goes on from it', async () => {
  const out = join(folder, 'interrupted')
  const args = ['train', text, '--out', out, '--steps', '400', '--warmup-steps', '200', ...tiny, ...short, '--json']
  const stopped = await heed(args, { interruptWhen: '"event":"log"' })
  expect(stopped.code).toBe(130)
  const checkpoint = readdirSync(out).find(name => name.startsWith('checkpoint-'))!
  const step = Number(checkpoint.split('-')[1])
  expect(step).toBeLessThan(400)
  const resumed = await heed([...args, '--resume'])
  expect(resumed.code).toBe(0)
  const events = `${stopped.stdout}${resumed.stdout}`
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))
  expect(events.at(-1)).toMatchObject({ event: 'done', globalStep: 400, isInterrupted: false })
  const logged = events.find(({ event }) => event === 'log')
  expect(logged.learningRate).toBeCloseTo((3e-3 * (logged.step - 1)) / 200, 9)
  const steps = events
    .slice(stopped.stdout.trim().split('\n').length)
    .filter(({ event }) => event === 'log')
    .map(record => record.step)
  expect(steps[0]).toBeGreaterThan(step)
  expect(steps.at(-1)).toBe(400)
})

test('a terminal that is closed, and takes no more writing, saves a checkpoint too', async () => {
  const out = join(folder, 'hung up')
  const args = ['train', text, '--out', out, '--steps', '4000', ...tiny, ...short, '--json']
  const failing = "process.on('SIGHUP',()=>process.stderr.emit('error',Object.assign(Error(),{code:'EIO'})))"
  const env = { NODE_OPTIONS: `--import=data:text/javascript,${failing}` }
  const { code } = await heed(args, { interruptWhen: '"event":"log"', signal: 'SIGHUP', env })
  expect(code).toBe(130)
  expect(readdirSync(out)).toContainEqual(expect.stringMatching(/^checkpoint-/))
})

test('Ctrl-C after the last step ends the run with its model saved', async () => {
  const long = join(folder, 'long.txt')
  writeFileSync(long, readFileSync(text, 'utf8').repeat(30))
  const args = (out: string) => ['train', long, '--out', join(folder, out), '--steps', '1', ...tiny, ...short, '--json']
  const saved = join(folder, 'stopped late', 'model', 'tokenizer.json')
  const [whileSaving, whileEvaluating] = await Promise.all([
    heed(args('stopped early'), { interruptWhen: '"event":"save"' }),
    heed(args('stopped late'), { interruptWhen: () => existsSync(saved) }),
  ])
  expect([whileEvaluating.code, whileEvaluating.stdout]).toEqual([null, expect.not.stringContaining('"done"')])
  const { code, stdout } = whileSaving
  const model = join(folder, 'stopped early', 'model')
  expect([code, JSON.parse(stdout.trim().split('\n').at(-1)!)]).toEqual([
    130,
    {
      error: {
        code: 'HEED_ABORTED',
        message: `${model} is saved; its evaluation was interrupted. Add --resume to have it.`,
      },
    },
  ])
  expect(readdirSync(model)).toContain('tokenizer.json')
})

test('a run is refused at once where another goes on or an earlier one lies, unless it is to be written over', async () => {
  const busy = join(folder, 'busy')
  mkdirSync(busy)
  writeFileSync(join(busy, '.heed-lock'), JSON.stringify({ pid: process.pid, host: hostname() }))
  const model = join(import.meta.dirname, '..', '..', '..', 'packages', 'llama', 'test', 'fixtures', 'stories260K')
  const commands = [['train', text], ['train', text, '--resume'], ['finetune', model, text], ['quickstart']]
  for (const { code, stderr } of await Promise.all(commands.map(args => heed([...args, '--out', busy])))) {
    expect(code).toBe(1)
    expect(stderr).toBe(
      `error: ${busy}: process ${process.pid} on ${hostname()} is training in this folder, expected no other run. ` +
        `Choose another folder, or remove ${busy}/.heed-lock if that run is over.\n`,
    )
  }

  const out = join(folder, 'earlier')
  const args = ['train', text, '--out', out, '--steps', '1', ...tiny, ...short]
  expect((await heed(args)).code).toBe(0)
  const refusal = (found: string) => ({
    code: 2,
    stdout: '',
    stderr:
      `error: --out is ${out}, which holds ${found} of an earlier run, expected a folder without one. ` +
      'Go on with that run by --resume, write over it by --overwrite, or choose another folder.\n',
  })
  expect(await heed(args)).toEqual(refusal(`${out}/checkpoint-1`))
  expect(await heed(['finetune', model, text, '--out', out])).toEqual(refusal(`${out}/checkpoint-1`))
  rmSync(join(out, 'checkpoint-1'), { recursive: true })
  expect(await heed(args)).toEqual(refusal(join(out, 'model')))
  expect((await heed([...args, '--overwrite', '--resume'])).code).toBe(2)
  expect((await heed([...args, '--dry-run'])).code).toBe(0)
  expect((await heed([...args, '--overwrite'])).code).toBe(0)
  expect(readdirSync(out)).toContain('checkpoint-1')
})

test('a run goes on only with the sizes and the tokenizer that it began with', async () => {
  const [out, other] = [join(folder, 'begun'), join(folder, 'other-tokenizer')]
  const args = ['train', text, '--out', out, '--steps', '2', ...tiny, ...short]
  expect((await heed(args)).code).toBe(0)
  expect((await heed(['tokenizer', 'train', text, '--out', other, '--vocab-size', '310'])).code).toBe(0)
  const again = ['train', text, '--out', out, '--steps', '3', '--resume', ...tiny, ...short.slice(0, -2)]
  const mend = 'Give what the run began with, or begin another with --overwrite.\n'
  const wrong: [string[], string][] = [
    [['--vocab-size', '320'], `heed train: --vocab-size is 320, expected 300 as in the run in ${out}, with --resume.`],
    // as many weights as before, which would be loaded without a word
    [
      ['--num-attention-heads', '4', '--num-key-value-heads', '2'],
      `heed train: --num-attention-heads is 4, expected 2 as in the run in ${out}, with --resume.`,
    ],
    [
      ['--tokenizer', other],
      `${other}: its tokenizer has 310 tokens, expected 300 as the run in ${out}, with --resume.`,
    ],
  ]
  const found = await Promise.all(wrong.map(([given]) => heed([...again, ...given])))
  expect(found).toEqual(wrong.map(([, said]) => ({ code: 2, stdout: '', stderr: `error: ${said} ${mend}` })))
  expect((await heed([...again, '--vocab-size', '300'])).code).toBe(0)
})

test('a run goes on by the command that began it where its text has fewer tokens than asked for', async () => {
  const [short, out] = [join(folder, 'short.txt'), join(folder, 'short')]
  writeFileSync(short, 'the cat sat on the mat\n'.repeat(30))
  const args = ['train', short, '--out', out, '--steps', '2', ...tiny, '--block-size', '8', '--vocab-size']
  const whole = [await heed([...args, '400']), await heed([...args, '400', '--resume'])]
  expect(whole.map(({ code }) => code)).toEqual([0, 0])
  const { model } = JSON.parse(readFileSync(join(out, 'model', 'tokenizer.json'), 'utf8'))
  const own = Object.keys(model.vocab).length
  expect(own).toBeLessThan(400)
  const smaller = await heed([...args, String(own - 1), '--resume'])
  expect(smaller.stderr).toContain(
    `--vocab-size is ${own - 1}, expected ${own} as in the run in ${out}, with --resume.`,
  )
})

test('a prepared corpus and a model with other tokens are refused before any work', async () => {
  const half = join(folder, 'half.txt')
  writeFileSync(half, readFileSync(text, 'utf8').slice(30_000))
  const corpus = async (name: string, file: string, vocabSize: number): Promise<string> => {
    const [tokenizer, out] = [join(folder, `${name}-tokenizer`), join(folder, name)]
    await heed(['tokenizer', 'train', file, '--out', tokenizer, '--vocab-size', String(vocabSize)])
    expect((await heed(['data', 'prepare', text, '--tokenizer', tokenizer, '--out', out])).code).toBe(0)
    return out
  }
  const [own, small, large, others] = await Promise.all([
    corpus('own', text, 300),
    corpus('small', text, 290),
    corpus('large', text, 310),
    corpus('others', half, 300),
  ])
  const train = ['train', '--steps', '1', '--block-size', '16', '--batch-size', '4', '--out']
  const model = join(folder, 'own-run', 'model')
  expect((await heed([...train, join(folder, 'own-run'), own!, ...tiny, '--num-key-value-heads', '1'])).code).toBe(0)
  const mend = `Prepare the corpus again by heed data prepare with --tokenizer ${model}, or leave --model out.\n`
  const out = join(folder, 'no-run')
  const found = await Promise.all([small!, large!, others!].map(data => heed([...train, out, data, '--model', model])))
  expect(found.map(({ code, stderr }) => [code, stderr])).toEqual([
    [2, `error: ${small}: its tokenizer has 290 tokens, expected 300 as the tokenizer of ${model}. ${mend}`],
    [2, `error: ${large}: its tokenizer has 310 tokens, expected at most 300, the vocab_size of ${model}. ${mend}`],
    [
      2,
      expect.stringMatching(/others: its tokenizer has "[^"]+" as token \d+ of 300, expected "[^"]+" as the tokenizer/),
    ],
  ])
  expect(readdirSync(folder)).not.toContain('no-run')
  const larger = await heed([...train, out, text, '--model', model, '--tokenizer', `${large}-tokenizer`])
  expect(larger.stderr).toBe(
    `error: ${large}-tokenizer: its tokenizer has 310 tokens, expected at most 300, the vocab_size of ${model}. ` +
      'Leave --tokenizer out for that of the model, or choose a smaller one.\n',
  )
  expect((await heed([...train, out, own!, '--model', model])).code).toBe(0)
}, 300_000)

test('heed data prepare makes the tokens of the whole text by threads, and heed train trains from its folder', async () => {
  const [tokenizer, out] = [join(folder, 'prepare-tokenizer'), join(folder, 'prepared')]
  expect((await heed(['tokenizer', 'train', text, '--out', tokenizer, '--vocab-size', '300'])).code).toBe(0)
  const prepared = await heed(['data', 'prepare', text, '--tokenizer', tokenizer, '--out', out, '--no-eos', '--json'])
  expect(prepared.code, prepared.stderr + prepared.stdout).toBe(0)
  const encoded = await heed(['tokenizer', 'encode', tokenizer, text, '--json'])
  const { numTokens, numBytes } = JSON.parse(prepared.stdout)
  expect(numTokens).toBe(JSON.parse(encoded.stdout).ids.length)
  expect(numBytes).toBe(60_000)
  // The same text as a data set in a folder, found by its split.
  mkdirSync(join(folder, 'rows'))
  writeFileSync(join(folder, 'rows', 'test.jsonl'), JSON.stringify({ story: readFileSync(text, 'utf8') }))
  const ofRows = ['--split', 'test', '--text-column', 'story', '--no-eos', '--json']
  const again = await heed([
    'data',
    'prepare',
    join(folder, 'rows'),
    '--tokenizer',
    tokenizer,
    '--out',
    `${out}-rows`,
    ...ofRows,
  ])
  expect(again.code, again.stderr + again.stdout).toBe(0)
  expect(JSON.parse(again.stdout).numTokens).toBe(numTokens)
  const train = ['train', out, '--out', join(folder, 'from-tokens'), '--eval-steps', '4', '--steps', '4', '--json']
  for (const ofTokenizer of [
    ['--vocab-size', '300'],
    ['--tokenizer', tokenizer],
  ]) {
    const refused = await heed([...train, ...ofTokenizer])
    expect(refused.code).toBe(2)
    expect(JSON.parse(refused.stdout).error.message).toBe(
      `heed train: ${ofTokenizer[0]} is given, expected it without a folder of heed data prepare, ` +
        'which has its own tokenizer. Leave one of them out.',
    )
  }
  const trained = await heed([...train, ...tiny, ...short.slice(0, -2)])
  expect(trained.code, trained.stderr + trained.stdout).toBe(0)
  expect(trained.stdout).toContain('"event":"evaluate"')
}, 300_000)

test('--cache-dtype holds keys and values in fewer bits', async () => {
  const stories = join(import.meta.dirname, '..', '..', '..', 'packages', 'llama', 'test', 'fixtures', 'stories260K')
  const generate = ['generate', stories, 'Once upon a time', '--temperature', '0', '--max-new-tokens', '3']
  const written = await heed([...generate, '--cache-dtype', 'q8_0'])
  expect(written.stdout).toBe('Once upon a time, there was\n')
  const refused = await heed([...generate, '--cache-dtype', 'q4_0'])
  expect(refused.stderr).toContain("option '--cache-dtype <dtype>' argument 'q4_0' is invalid")
})
