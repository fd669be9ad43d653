import { describe, expect, test } from 'vitest'
import { StopText } from '../../src/serve/inference/stop-text.ts'
import { ToolCallReader } from '../../src/serve/openai/tool-calls.ts'

/** All that comes out, of any pieces. */
function cut(stops: string[], pieces: string[]): string {
  const text = new StopText(stops)
  return pieces.map(piece => text.push(piece)).join('') + text.end()
}

describe('a text is cut before a stop text', () => {
  test('that lies in one piece or in several, the first of them', () => {
    expect(cut(['END'], ['one EN', 'D two'])).toBe('one ')
    expect(cut(['b', 'ab'], ['xab'])).toBe('x')
    expect(cut(['aab'], ['aa', 'ab', 'x'])).toBe('a')
  })
  test('and is whole where none comes, what was held back too', () => {
    expect(cut(['END'], ['one E', 'N'])).toBe('one EN')
    expect(cut([], ['one'])).toBe('one')
  })
})

function read(pieces: string[], names = ['f', 'g']): { shown: string; content: string; calls: unknown[] } {
  const reader = new ToolCallReader(names)
  const shown = pieces.map(piece => reader.push(piece)).join('')
  return { shown, ...reader.end() }
}
const call = (name: string, given: object) => ({ name, arguments: JSON.stringify(given) })

describe('calls are told from text', () => {
  test.each([
    [
      'Hermes and Qwen',
      ['Let me see.\n<tool', '_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>'],
      'Let me see.\n',
      [call('f', { a: 1 })],
    ],
    [
      'several of Hermes',
      ['<tool_call>{"name":"f","arguments":{}}</tool_call>\n<tool_call>{"name":"g","arguments":{"b":[2]}}</tool_call>'],
      '',
      [call('f', {}), call('g', { b: [2] })],
    ],
    ['Llama 3', ['{"name": "f", ', '"parameters": {"a": "x"}}'], '', [call('f', { a: 'x' })]],
    [
      'several of Llama 3',
      ['<|python_tag|>{"name": "f", "parameters": {}}; {"name": "g", "parameters": {"b": 1}}'],
      '',
      [call('f', {}), call('g', { b: 1 })],
    ],
    ['functions of Llama 3.1', ['<function=g>{"b": true}</function>'], '', [call('g', { b: true })]],
    ['Mistral', ['[TOOL_CALLS][{"name": "f", "arguments": {"a": 1}}]'], '', [call('f', { a: 1 })]],
  ])('of %s', (_, pieces, shown, calls) => {
    expect(read(pieces)).toEqual({ shown, content: '', calls })
  })

  test.each([
    [['A < b and <tool', 'box>']],
    [['{"name": "unknown", "arguments": {}}']],
    [['{"a": 1}']],
    [['<tool_call>{"name": "f", ']],
    [['[1, 2']],
  ])('and what is none stays text: %j', pieces => {
    const { shown, content, calls } = read(pieces)
    expect([shown + content, calls]).toEqual([pieces.join(''), []])
  })
})
