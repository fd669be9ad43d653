import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Tokenizer } from '@heed/tokenizer'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { tokenPage } from '../src/token-page.ts'
import { heed } from './run-cli.ts'

const corpus = readFileSync(join(import.meta.dirname, '..', '..', '..', 'data', 'tiny-shakespeare.txt'), 'utf8')
const said = 'To be, or not to be: ça va 你好 🎉'
let folder: string
let bpe: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'heed-tokenizer-cli-'))
  mkdirSync(join(folder, 'texts'))
  writeFileSync(join(folder, 'texts', 'a.txt'), corpus.slice(0, 30_000))
  writeFileSync(join(folder, 'texts', 'b.txt'), corpus.slice(30_000, 60_000))
  writeFileSync(join(folder, 'texts', 'c.md'), 'not of the pattern')
  bpe = join(folder, 'bpe')
  const trained = await heed([
    'tokenizer',
    'train',
    join(folder, 'texts', '*.txt'),
    '--out',
    bpe,
    '--vocab-size',
    '400',
  ])
  expect(trained).toEqual({ code: 0, stdout: `saved ${bpe}: 400 tokens\n`, stderr: '' })
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('tokenizer train', () => {
  test('learns the same from a glob, from files and from standard input', async () => {
    const files = ['a.txt', 'b.txt'].map(name => join(folder, 'texts', name))
    const [named, piped] = [join(folder, 'named'), join(folder, 'piped')]
    const train = (...args: string[]) => ['tokenizer', 'train', ...args, '--vocab-size', '400', '--json']
    const [first, second] = await Promise.all([
      heed(train(...files, '--out', named)),
      heed(train('--out', piped), { input: corpus.slice(0, 60_000) }),
    ])
    expect(JSON.parse(first!.stdout)).toEqual({ out: named, vocabSize: 400 })
    expect(second!.code).toBe(0)
    const json = (path: string) => readFileSync(join(path, 'tokenizer.json'), 'utf8')
    expect(json(named)).toBe(json(bpe))
    expect(json(piped)).toBe(json(bpe))
  })

  test.each([
    ['wordpiece', ['[CLS]', 'to', 'be', '[SEP]'], '[PAD]'],
    ['unigram', ['▁To', '▁be', '</s>'], '<pad>'],
  ])('makes a %s tokenizer that puts its special tokens around a text', async (type, tokens, first) => {
    const out = join(folder, type)
    const args = ['tokenizer', 'train', join(folder, 'texts', 'a.txt'), '--out', out, '--type', type]
    expect((await heed([...args, '--vocab-size', '500'])).stderr).toBe('')
    const tokenizer = await Tokenizer.fromPretrained(out)
    expect(tokenizer.encode('To be').tokens).toEqual(tokens)
    expect(tokenizer.specialTokenId('pad_token')).toBe(0)
    expect(tokenizer.idToToken(0)).toBe(first)
  })

  test.each([
    [['*.none'], 1, /^error: .*\*\.none: no file has such a name\. Check the pattern\.\n$/],
    [['absent.txt'], 1, /^error: .*absent\.txt: there is no such file or folder\. Check the path\.\n$/],
    [
      ['latin1.txt'],
      1,
      /^error: .*latin1\.txt: text is not valid UTF-8\. The file is damaged or of another format\.\n$/,
    ],
    [['empty.txt'], 1, /^error: .*empty\.txt: the file is empty, expected text\. Check the path\.\n$/],
    [[], 1, /^error: standard input: it is empty, expected text\. Pipe a text, or name files\.\n$/],
    [
      ['texts/a.txt', '--type', 'unigram', '--min-frequency', '3'],
      2,
      /^error: heed tokenizer train: --min-frequency is 3, expected none with --type unigram, which has no merges\. Leave it out\.\n$/,
    ],
  ])('%j is one clear error, and nothing is written', async (args, code, message) => {
    writeFileSync(join(folder, 'latin1.txt'), Buffer.from('caf\xe9', 'latin1'))
    writeFileSync(join(folder, 'empty.txt'), '\n')
    const out = join(folder, 'none')
    const paths = args.map(arg => (arg.includes('.') ? join(folder, arg) : arg))
    const failed = await heed(['tokenizer', 'train', ...paths, '--out', out])
    expect([failed.code, failed.stdout]).toEqual([code, ''])
    expect(failed.stderr).toMatch(message)
    expect(readdirSync(folder)).not.toContain('none')
  })
})

describe('tokenizer encode and decode', () => {
  test('give a text back', async () => {
    const encoded = await heed(['tokenizer', 'encode', bpe], { input: said })
    expect(encoded.stderr).toBe('')
    expect((await heed(['tokenizer', 'decode', bpe], { input: encoded.stdout })).stdout).toBe(`${said}\n`)
  })

  test('take each file, or each line, as a text of its own', async () => {
    const [first, second] = [join(folder, 'first.txt'), join(folder, 'second.txt')]
    writeFileSync(first, `${said}\r\nThou\n`)
    writeFileSync(second, 'art')
    const encode = ['tokenizer', 'encode', bpe, first, second, '--json']
    const [whole, lines] = await Promise.all([heed(encode), heed([...encode, '--lines'])])
    const tokenizer = await Tokenizer.fromPretrained(bpe)
    const expected = (text: string) => {
      const { ids, tokens, offsets } = tokenizer.encode(text)
      return { ids, tokens, offsets }
    }
    const objects = (stdout: string) =>
      stdout
        .trim()
        .split('\n')
        .map(line => JSON.parse(line))
    expect(objects(whole!.stdout)).toEqual([`${said}\r\nThou\n`, 'art'].map(expected))
    expect(objects(lines!.stdout)).toEqual([said, 'Thou', 'art'].map(expected))
    const ids = join(folder, 'lines.ids')
    writeFileSync(
      ids,
      objects(lines!.stdout)
        .map(({ ids }) => `[${ids.join(', ')}]\n`)
        .join(''),
    )
    const decoded = await heed(['tokenizer', 'decode', bpe, '--file', ids])
    expect(decoded.stdout).toBe(`${said}\nThou\nart\n`)
  })

  test('end without a word when their reader has seen enough', async () => {
    const lines = join(folder, 'many-lines.txt')
    writeFileSync(lines, corpus.slice(0, 200_000))
    const main = join(import.meta.dirname, '..', 'dist', 'main.js')
    const command = `"${process.execPath}" "${main}" tokenizer encode "${bpe}" "${lines}" --lines | head -n 1`
    const { stdout, stderr } = await promisify(execFile)('sh', ['-c', command])
    expect(stdout).toMatch(/^[\d ]+\n$/)
    expect(stderr).toBe('')
  })

  test('refuse what is no id by its line', async () => {
    const { code, stderr } = await heed(['tokenizer', 'decode', bpe], { input: '1 2\n3 x4\n' })
    expect(code).toBe(2)
    expect(stderr).toBe(
      'error: heed tokenizer decode: line 2 has "x4", expected whole numbers from 0 on. Give ids, as encode prints them.\n',
    )
  })
})

describe('tokenizer encode --html', () => {
  test('writes one page for all texts', async () => {
    const html = join(folder, 'tokens.html')
    const { code, stdout } = await heed(['tokenizer', 'encode', bpe, '--html', html], { input: said })
    expect([code, stdout]).toEqual([0, `saved ${html}\n`])
    const page = readFileSync(html, 'utf8')
    const { ids, tokens } = (await Tokenizer.fromPretrained(bpe)).encode(said)
    expect(page).toContain(`<p>${ids.length} tokens, ${[...said].length} characters, `)
    for (const [i, id] of ids.entries()) expect(page).toContain(`${id} ${tokens[i]}`)
    expect(textOf(page)).toBe(said)
    expect(page).toContain('prefers-color-scheme: dark')
  })

  test('shows every text as it is, whatever markup or control characters are in it', async () => {
    const tokenizer = await Tokenizer.fromPretrained(bpe)
    const text = `</pre><script>alert("1")</script> & 'quoted'\n\ttab 🎉\u200d\u0301`
    tokenizer.addTokens(['"><img src=x onerror=alert(1)>'])
    const hostile = `${text}"><img src=x onerror=alert(1)>`
    const page = tokenPage('<b>"name"</b>', [[hostile, tokenizer.encode(hostile)]])
    expect(page).not.toMatch(/<script|<img|<b>"name/)
    expect(textOf(page)).toBe(hostile)
    expect(tokenPage('x', [['\0\r\x7f\x85', tokenizer.encode('\0\r\x7f\x85')]])).not.toMatch(/(?!\n)\p{Cc}/u)
  })
})

/** The text that a reader of the page sees and copies. */
function textOf(page: string): string {
  const [, shown] = /<pre>([\s\S]*)<\/pre>/.exec(page)!
  return shown!
    .replace(/<u>↵<\/u>/g, '')
    .replace(/<[^>]*>/g, '')
    .replace(/&(?:lt|gt|quot|#39);/g, entity => ({ '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#39;': "'" })[entity]!)
    .replaceAll('&amp;', '&')
}

test('tokenizer inspect shows the parts, the special and the longest tokens, and how a text is cut', async () => {
  const [shown, json] = await Promise.all([
    heed(['tokenizer', 'inspect', bpe, 'To be']),
    heed(['tokenizer', 'inspect', bpe, 'To be', '--longest', '2', '--json']),
  ])
  const report = JSON.parse(json!.stdout)
  expect(report).toMatchObject({
    path: bpe,
    vocabSize: 400,
    pipeline: {
      normalizer: null,
      preTokenizer: 'ByteLevel',
      model: 'BPE, 400 tokens, 143 merges',
      postProcessor: 'ByteLevel',
      decoder: 'ByteLevel',
    },
    modelMaxLength: null,
    specialTokens: [{ id: 0, token: '<|endoftext|>', roles: ['bos_token', 'eos_token', 'unk_token'] }],
    chatTemplates: [],
    sample: { text: 'To be', tokens: ['T', 'o', 'Ġbe'], decoded: 'To be' },
  })
  expect(report.longestTokens).toHaveLength(2)
  const lengths = report.longestTokens.map(({ text }: { text: string }) => text.length)
  expect(lengths).toEqual([...lengths].sort((a: number, b: number) => b - a))
  for (const line of ['model           BPE, 400 tokens, 143 merges', '0  <|endoftext|>', 'chat template   none']) {
    expect(shown!.stdout).toContain(line)
  }
})
