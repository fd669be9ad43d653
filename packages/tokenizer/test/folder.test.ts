import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { HeedError } from '../src/errors.ts'
import { type ChatOptions, Tokenizer } from '../src/tokenizer.ts'

let root: string
let count = 0
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'heed-folder-'))
})
afterAll(() => rm(root, { recursive: true }))

/** A new folder of files: texts as they are, all else as JSON. */
async function folderOf(files: Record<string, unknown>): Promise<string> {
  const folder = join(root, String(count++))
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content))
  }
  return folder
}

const tokens = ['<unk>', 'a', 'b', 'c', '<', '>', 'x', 's', '<s>', '</s>', '<pad>', 'e']
const json = {
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: [
    { id: 0, content: '<unk>', single_word: false, lstrip: false, rstrip: false, normalized: false, special: true },
  ],
  normalizer: { type: 'Lowercase' },
  pre_tokenizer: { type: 'Whitespace' },
  post_processor: null,
  decoder: null,
  model: { type: 'WordLevel', vocab: Object.fromEntries(tokens.map((token, id) => [token, id])), unk_token: '<unk>' },
}

/** Id, text, special, normalized. */
type Added = [number, string, boolean, boolean]
const unk: Added = [0, '<unk>', true, false]
const end: Added = [9, '</s>', true, false]

// Expected values are those of AutoTokenizer of transformers 5.18 for folders of the same files.
describe('files of older versions count as in transformers', () => {
  const map = (content: object) => ({ 'special_tokens_map.json': content })
  const added = (content: object) => ({ 'added_tokens.json': content })
  const config = (content: object) => ({ 'tokenizer_config.json': content })
  const r = { content: '<r>', lstrip: true, rstrip: false, normalized: false, single_word: false }
  const cases: [string, Record<string, unknown>, Added[]][] = [
    [
      'special_tokens_map.json goes before the config',
      { ...config({ pad_token: 'a', eos_token: '</s>' }), ...map({ pad_token: '<pad>' }) },
      [unk, end, [10, '<pad>', true, false]],
    ],
    [
      'but not before one that has its tokens with their ids',
      {
        ...config({ eos_token: '</s>', added_tokens_decoder: { 9: { content: '</s>', special: true } } }),
        ...map({ eos_token: '<s>', pad_token: '<pad>' }),
      },
      [unk, end],
    ],
    [
      'lists of extra tokens are joined',
      {
        ...config({ eos_token: '</s>', additional_special_tokens: ['<y>'] }),
        ...map({ extra_special_tokens: ['<q>', r] }),
      },
      [unk, end, [12, '<y>', true, false], [13, '<q>', true, false], [14, '<r>', true, false]],
    ],
    [
      'added_tokens.json gives tokens in the order of their ids',
      { ...config({ eos_token: '</s>' }), ...added({ '<Q>': 14, '<p>': 13, '</s>': 12 }) },
      [unk, end, [12, '<p>', false, true], [13, '<Q>', false, true]],
    ],
    ['without gaps', added({ '<Big>': 100, '<k>': 50 }), [unk, [12, '<k>', false, true], [13, '<Big>', false, true]]],
    [
      'those that are named are special',
      { ...map({ eos_token: '<eos>' }), ...added({ '<eos>': 12, '<Big>': 13 }) },
      [unk, [12, '<eos>', true, false], [13, '<Big>', false, true]],
    ],
    [
      'and those that are extra',
      {
        ...config({ eos_token: '</s>', additional_special_tokens: ['<Big>'] }),
        ...added({ '<Big>': 12, '<c>': 13 }),
      },
      [unk, end, [12, '<Big>', true, false], [13, '<c>', false, true]],
    ],
    [
      'tokenizer.json knows more of those that it has',
      added({ '<unk>': 0, '<Big>': 12 }),
      [unk, [12, '<Big>', false, true]],
    ],
    [
      'added_tokens.json does not count beside tokens of the config',
      { ...config({ added_tokens_decoder: { 12: { content: '<z>', special: false } } }), ...added({ '<Big>': 12 }) },
      [unk, [12, '<z>', false, true]],
    ],
    [
      'a token of the config that it names is special',
      config({ eos_token: '<eos>', added_tokens_decoder: { 12: { content: '<eos>', special: false } } }),
      [unk, [12, '<eos>', true, false]],
    ],
  ]

  test.each(cases)('%s', async (_, files, expected) => {
    const tokenizer = await Tokenizer.fromPretrained(await folderOf({ 'tokenizer.json': json, ...files }))
    const found = tokenizer.addedTokens.map(({ id, content, special, normalized }) => [
      id,
      content,
      special,
      normalized,
    ])
    expect(found).toEqual(expected)
  })

  test('ids, and what decode leaves out', async () => {
    const files = { 'tokenizer.json': json, ...map({ eos_token: '<eos>' }), ...added({ '<eos>': 12, '<Big>': 13 }) }
    const tokenizer = await Tokenizer.fromPretrained(await folderOf(files))
    const { ids } = tokenizer.encode('a <eos> <Big> <big> b <c>')
    expect(ids).toEqual([1, 12, 13, 13, 2, 4, 3, 5])
    expect(tokenizer.decode(ids)).toBe('a <big> <big> b < c >')
  })

  test('beside vocab.txt instead of tokenizer.json', async () => {
    const words = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'hello', 'world', 'say', 'b', '<', '>', 'x', 'y']
    const files = { 'vocab.txt': words.join('\n'), ...added({ '<Y>': 14, '<x>': 13 }) }
    const tokenizer = await Tokenizer.fromPretrained(await folderOf(files))
    expect(tokenizer.encode('say <y> <x> é<|end|> b').ids).toEqual([2, 7, 14, 13, 1, 9, 1, 1, 1, 10, 8, 3])
  })

  test('an added_tokens.json that breaks a rule is refused', async () => {
    const folder = await folderOf({ 'tokenizer.json': json, ...added({ '<x>': '12' }) })
    await expect(Tokenizer.fromPretrained(folder)).rejects.toThrow(
      new HeedError(
        'HEED_CONFIG_INVALID',
        'added_tokens.json: <x> is "12", expected an integer from 0 on. Correct the file.',
      ),
    )
  })
})

describe('chat templates are found as in transformers', () => {
  const templates = [
    { name: 'default', template: 'L-def' },
    { name: 'tool_use', template: 'L-tool' },
    { name: 'rag', template: 'L-rag' },
  ]
  const list = { 'tokenizer_config.json': { chat_template: templates } }
  const object = Object.fromEntries(templates.map(({ name, template }) => [name, template]))
  const file = { 'chat_template.jinja': 'J' }
  const more = (names: Record<string, string>) =>
    Object.fromEntries(Object.entries(names).map(([name, text]) => [`additional_chat_templates/${name}.jinja`, text]))
  const options: ChatOptions[] = [{}, { tools: [{ type: 'function' }] }, { chatTemplate: 'rag' }, { chatTemplate: 'x' }]
  const cases: [string, Record<string, unknown>, (string | undefined)[]][] = [
    ['a list of the config', list, ['L-def', 'L-tool', 'L-rag', 'x']],
    [
      'an object of the config',
      { 'tokenizer_config.json': { chat_template: object } },
      ['L-def', 'L-tool', 'L-rag', 'x'],
    ],
    [
      'of two by one name the last',
      { 'tokenizer_config.json': { chat_template: [...templates, { name: 'rag', template: 'last' }] } },
      ['L-def', 'L-tool', 'last', 'x'],
    ],
    ['a file goes before the config', { ...list, ...file }, ['J', 'J', 'rag', 'x']],
    ['files of names', { ...file, ...more({ tool_use: 'F-tool', rag: 'F-rag' }) }, ['J', 'F-tool', 'F-rag', 'x']],
    [
      'files of names go before the config',
      { ...list, ...more({ rag: 'F-rag' }) },
      [undefined, undefined, 'F-rag', 'x'],
    ],
    ['none', {}, [undefined, undefined, 'rag', 'x']],
    ['an empty list is none', { 'tokenizer_config.json': { chat_template: [] } }, [undefined, undefined, 'rag', 'x']],
    ['an empty text is none', { 'tokenizer_config.json': { chat_template: '' } }, [undefined, undefined, 'rag', 'x']],
  ]

  test.each(cases)('%s', async (_, files, expected) => {
    const tokenizer = await Tokenizer.fromPretrained(await folderOf({ 'tokenizer.json': json, ...files }))
    await tokenizer.save(join(root, 'saved', String(count)))
    for (const each of [tokenizer, await Tokenizer.fromPretrained(join(root, 'saved', String(count)))]) {
      for (const [i, option] of options.entries()) {
        const render = () => each.applyChatTemplate([{ role: 'user', content: 'a' }], { ...option, tokenize: false })
        if (expected[i] === undefined) expect(render).toThrow(/^applyChatTemplate: chat_template of the config is /)
        else expect(render()).toBe(expected[i])
      }
    }
  })

  test('their names are told', () => {
    const namesOf = (chat_template: never) => [...Tokenizer.fromJSON(json, { chat_template }).chatTemplates.keys()]
    const given = [templates, object, 'J', [], {}, '', undefined] as never[]
    const all = templates.map(({ name }) => name)
    expect(given.map(namesOf)).toEqual([all, all, ['default'], [], [], [], []])
  })

  test('a list of something else is refused', () => {
    const tokenizer = Tokenizer.fromJSON(json, { chat_template: ['text'] as never })
    expect(() => tokenizer.applyChatTemplate([{ role: 'user', content: 'a' }])).toThrow(
      new HeedError(
        'HEED_CONFIG_INVALID',
        'tokenizer_config.json: chat_template is ["text"], expected a text, or a list of { name, template }. Correct the file.',
      ),
    )
  })
})
