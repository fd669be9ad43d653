import { describe, expect, test, vi } from 'vitest'
import { type ChatMessage, renderChat } from '../src/chat-template.ts'
import { HeedError } from '../src/errors.ts'
import { type ChatOptions, Tokenizer } from '../src/tokenizer.ts'
import { readFixture, type TokenizerFixture } from './fixture.ts'

interface Row {
  readonly template: string
  readonly messages: readonly ChatMessage[]
  readonly options: ChatOptions
  readonly text: string
  readonly ids: number[]
  readonly mask: number[] | null
}

interface Fixture {
  readonly templates: Record<string, string>
  readonly cases: Row[]
  /** Templates with `v`, the values, and what Jinja2 gives; null where it refuses. */
  readonly python: { readonly template: string; readonly text: string | null }[]
  readonly values: Record<string, unknown>
}

const { templates, cases, python, values } = readFixture<Fixture>('chat-templates')
const config = { bos_token: '<|endoftext|>', eos_token: { content: '<|endoftext|>' } }
const tokenizer = Tokenizer.fromJSON(readFixture<TokenizerFixture>('byte-level-bpe').tokenizer, config)
const hello = [{ role: 'user', content: 'Hello' }]

describe.each(cases)('a template ($template, $options)', ({ template, messages, options, text, ids }) => {
  const chosen = { ...options, chatTemplate: templates[template]! }

  test('gives the text and the ids that transformers gives', () => {
    expect(tokenizer.applyChatTemplate(messages, { ...chosen, tokenize: false })).toBe(text)
    expect(tokenizer.applyChatTemplate(messages, { ...chosen, returnAssistantTokensMask: false }).ids).toEqual(ids)
  })
})

test.each(cases.filter(({ mask }) => mask))(
  'a template ($template) gives the mask that transformers gives of what the assistant says',
  ({ template, messages, options, ids, mask }) => {
    const chosen = { ...options, chatTemplate: templates[template]!, returnAssistantTokensMask: true } as const
    const { encoding, assistantTokensMask } = tokenizer.applyChatTemplate(messages, chosen)
    expect(encoding.ids).toEqual(ids)
    expect(assistantTokensMask).toEqual(mask)
  },
)

test.each(python)('$template is rendered as by Jinja2', ({ template, text }) => {
  const render = () => renderChat(hello, {}, { chatTemplate: template, variables: { v: values } }).text
  if (text === null) expect(render).toThrow(/^applyChatTemplate: the template refuses the messages: /)
  else expect(render()).toBe(text)
})

test('strftime_now writes the time in English, and refuses a code that it does not know', () => {
  vi.useFakeTimers({ now: new Date(2026, 2, 5, 15, 4, 9) })
  const render = (chatTemplate: string) => renderChat(hello, {}, { chatTemplate }).text
  expect(render("{{ strftime_now('%A %-d %B %Y, %I:%M:%S %p, %a %d %b %y %H %%') }}")).toBe(
    'Thursday 5 March 2026, 03:04:09 PM, Thu 05 Mar 26 15 %',
  )
  expect(() => render("{{ strftime_now('%Q') }}")).toThrow('strftime_now: %Q is not one of %Y')
  vi.useRealTimers()
})

describe('which template', () => {
  const named = {
    chat_template: [
      { name: 'default', template: 'default' },
      { name: 'tool_use', template: 'tools' },
      { name: 'rag', template: 'rag' },
    ],
  }

  test.each([
    ['the one of the config', { chat_template: 'mine' }, {}, 'mine'],
    ['the default of several', named, {}, 'default'],
    ['tool_use where there are tools', named, { tools: [{ type: 'function' }] }, 'tools'],
    ['the one of a name', named, { chatTemplate: 'rag' }, 'rag'],
    ['the text that is given', named, { chatTemplate: 'other' }, 'other'],
  ])('%s', (_, chosen, options, text) => {
    expect(renderChat(hello, chosen, options).text).toBe(text)
  })
})

test('texts that contain the characters which mark what the assistant says keep them', () => {
  const chatTemplate = '{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %};{% endfor %}'
  const content = '\ufdd0a\ufdd1'
  expect(renderChat([{ role: 'user', content }], {}, { chatTemplate })).toEqual({
    text: `${content};`,
    assistantSpans: [[0, 3]],
  })
})

test('the last text part of a message in parts is continued', () => {
  const content = [{ type: 'text', text: 'one' }, { type: 'image' }]
  const chatTemplate = '{% for m in messages %}{% for p in m.content %}{{ p.text }}{% endfor %}<end>{% endfor %}'
  expect(renderChat([{ role: 'user', content }], {}, { chatTemplate, continueFinalMessage: true }).text).toBe('one')
})

describe('bad input', () => {
  const failures: [string, () => unknown, string, string][] = [
    [
      'no messages',
      () => renderChat([], { chat_template: 'x' }),
      'HEED_ARGUMENT_INVALID',
      'applyChatTemplate: messages is [], expected a list of at least one message. Pass [{ role, content }].',
    ],
    [
      'no template',
      () => renderChat(hello, {}),
      'HEED_ARGUMENT_INVALID',
      'applyChatTemplate: chat_template of the config is missing, expected a default one. ' +
        'Pass chatTemplate: the text of a Jinja template.',
    ],
    [
      'several templates without a default',
      () => renderChat(hello, { chat_template: [{ name: 'rag', template: 'x' }] }),
      'HEED_ARGUMENT_INVALID',
      'applyChatTemplate: chat_template of the config is one of "rag", expected a default one. ' +
        'Pass chatTemplate: one of these names.',
    ],
    [
      'a template that is broken',
      () => renderChat(hello, { chat_template: '{% if %}' }),
      'HEED_CONFIG_INVALID',
      'chat_template: it is not a Jinja template: Unexpected token: CloseStatement. Correct the template.',
    ],
    [
      'a template that raises',
      () => renderChat(hello, { chat_template: "{{ raise_exception('Roles must alternate.') }}" }),
      'HEED_ARGUMENT_INVALID',
      'applyChatTemplate: the template refuses the messages: Roles must alternate. Pass messages as it expects them.',
    ],
    [
      'nothing to continue',
      () => renderChat([{ role: 'assistant', content: null }], { chat_template: 'x' }, { continueFinalMessage: true }),
      'HEED_ARGUMENT_INVALID',
      'applyChatTemplate: content of the last message is null, expected a text to continue. ' +
        'Pass one, or leave out continueFinalMessage.',
    ],
    [
      'a template that leaves out what to continue',
      () => renderChat(hello, { chat_template: 'x' }, { continueFinalMessage: true }),
      'HEED_ARGUMENT_INVALID',
      'applyChatTemplate: the template leaves out the last message, expected it in the text. ' +
        'Leave out continueFinalMessage.',
    ],
  ]

  test.each(failures)('%s is refused', (_, run, code, message) => {
    expect(run).toThrow(new HeedError(code as HeedError['code'], message))
  })
})
