import { describe, expect, test } from 'vitest'
import { type ChatMessage, chatExample } from '../../src/data/chat.ts'
import {
  causalLmCollator,
  classificationCollator,
  type MaskedLmExample,
  maskedLmCollator,
  type Seq2SeqExample,
  seq2SeqCollator,
} from '../../src/data/collators.ts'
import type { TokenExample } from '../../src/data/packed-tokens.ts'

describe('causalLmCollator', () => {
  test('fills short rows, masks what it filled, and gives no label to it', () => {
    const collate = causalLmCollator({ padTokenId: 9, padToMultipleOf: 4 })
    const { inputs, labelShift } = collate([{ inputIds: [1, 2, 3] }, { inputIds: [4, 5], attentionMask: [0, 1] }], 0)
    expect(labelShift).toBe(1)
    expect(inputs).toEqual({
      inputIds: { shape: [2, 4], values: Int32Array.of(1, 2, 3, 9, 4, 5, 9, 9) },
      attentionMask: { shape: [2, 4], values: Int32Array.of(1, 1, 1, 0, 0, 1, 0, 0) },
      labels: { shape: [2, 4], values: Int32Array.of(1, 2, 3, -100, -100, 5, -100, -100) },
    })
  })

  test('makes no mask where nothing is filled, and takes labels that an example brings', () => {
    const { inputs } = causalLmCollator()([{ inputIds: [1, 2], labels: [-100, 2] }], 0)
    expect(inputs).toEqual({
      inputIds: { shape: [1, 2], values: Int32Array.of(1, 2) },
      labels: { shape: [1, 2], values: Int32Array.of(-100, 2) },
    })
  })

  test('refuses rows of different length when it has nothing to fill them with', () => {
    expect(() => causalLmCollator()([{ inputIds: [1, 2] }, { inputIds: [1] }], 0)).toThrow(
      'causalLmCollator: an example has 1 tokens, expected 2 as the batch has. Set padTokenId to fill short ones.',
    )
  })
})

describe('examples', () => {
  const refusal = (examples: unknown): (() => unknown) => {
    const collate = causalLmCollator({ padTokenId: 0 })
    return () => collate(examples as TokenExample[], 0)
  }

  test('without ids are refused by their place in the batch', () => {
    expect(refusal([])).toThrow('causalLmCollator: examples are [], expected at least one.')
    expect(refusal([{ inputIds: [1] }, { text: 'a' }])).toThrow(
      'causalLmCollator: inputIds of example 1 of the batch is undefined, expected a list of ids. Tokenize the data set first.',
    )
    expect(refusal([{ inputIds: ['a'] }])).toThrow('inputIds of example 0 of the batch holds "a", expected integers.')
    expect(refusal([{ inputIds: [1, 2], labels: [1, 1.5] }])).toThrow('labels of example 0 of the batch holds 1.5')
    const collate = seq2SeqCollator({ padTokenId: 0, decoderStartTokenId: 1 })
    expect(() => collate([{ inputIds: [1] } as unknown as Seq2SeqExample], 0)).toThrow(
      'seq2SeqCollator: labels of example 0 of the batch is undefined, expected a list of ids.',
    )
  })

  test('whose columns have other lengths than their ids do not run into the next row', () => {
    expect(refusal([{ inputIds: [1, 2], labels: [1, 2, 3] }])).toThrow(
      'causalLmCollator: labels of example 0 of the batch has 3 numbers, expected 2 as inputIds. Cut and fill both alike.',
    )
    expect(refusal([{ inputIds: [1, 2], attentionMask: [1] }])).toThrow('attentionMask of example 0 of the batch has 1')
  })

  test('that are all empty are a batch of padding', () => {
    expect(causalLmCollator({ padTokenId: 9 })([{ inputIds: [] }], 0).inputs).toEqual({
      inputIds: { shape: [1, 1], values: Int32Array.of(9) },
      attentionMask: { shape: [1, 1], values: Int32Array.of(0) },
      labels: { shape: [1, 1], values: Int32Array.of(-100) },
    })
  })
})

describe('maskedLmCollator', () => {
  const options = { maskTokenId: 4, vocabSize: 1000, padTokenId: 0, specialTokenIds: [2, 3] }
  const ids = [2, ...Array.from({ length: 20_000 }, (_, i) => 10 + (i % 900)), 3]

  test('chooses 15 in 100 tokens, of which 80 become the mask, 10 another token and 10 stay', () => {
    const { inputs, labelShift } = maskedLmCollator(options)([{ inputIds: ids }], 1)
    const [seen, labels] = [inputs.inputIds!.values, inputs.labels!.values]
    const chosen = ids.flatMap((id, i) => (labels[i] === -100 ? [] : [{ id, seen: seen[i]!, label: labels[i]! }]))
    const part = (count: number, of: number): number => count / of
    expect(labelShift).toBe(0)
    expect(chosen.every(({ id, label }) => id === label)).toBe(true)
    // Standard errors: 0.0025 of the chosen, 0.007 and 0.0055 of their fates.
    expect(Math.abs(part(chosen.length, 20_000) - 0.15)).toBeLessThan(0.01)
    expect(Math.abs(part(chosen.filter(({ seen }) => seen === 4).length, chosen.length) - 0.8)).toBeLessThan(0.03)
    expect(Math.abs(part(chosen.filter(({ id, seen }) => seen === id).length, chosen.length) - 0.1)).toBeLessThan(0.025)
    expect(ids.every((id, i) => labels[i] !== -100 || seen[i] === id)).toBe(true)
    expect([labels[0], labels.at(-1)]).toEqual([-100, -100])
  })

  test('masks the same tokens for the same seed and others for another', () => {
    const masked = (seed: number): unknown =>
      maskedLmCollator(options)([{ inputIds: ids }], seed).inputs.inputIds!.values
    expect(masked(5)).toEqual(masked(5))
    expect(masked(6)).not.toEqual(masked(5))
  })

  test('masks words as a whole when asked to, and never padding or marked special tokens', () => {
    const words: MaskedLmExample = {
      inputIds: ids.slice(1, 3001),
      wordIds: Array.from({ length: 3000 }, (_, i) => Math.floor(i / 3)),
      specialTokensMask: Array.from({ length: 3000 }, (_, i) => (i < 30 ? 1 : 0)),
      attentionMask: Array.from({ length: 3000 }, (_, i) => (i < 2970 ? 1 : 0)),
    }
    const collate = maskedLmCollator({ ...options, isWholeWord: true, mlmProbability: 0.5 })
    const labels = [...collate([words], 2).inputs.labels!.values]
    const chosen = labels.map(label => label !== -100)
    for (let i = 30; i < 2970; i += 3) expect(new Set(chosen.slice(i, i + 3)).size).toBe(1)
    expect(chosen.slice(0, 30).concat(chosen.slice(2970))).not.toContain(true)
  })

  test('refuses a probability or a mask token that cannot be', () => {
    expect(() => maskedLmCollator({ ...options, mlmProbability: 0 })).toThrow(
      'maskedLmCollator: mlmProbability is 0, expected a finite number above 0 and at most 1.',
    )
    expect(() => maskedLmCollator({ ...options, maskTokenId: 1000 })).toThrow(
      'maskedLmCollator: maskTokenId is 1000, expected an integer at least 0 and below 1000.',
    )
    expect(() => maskedLmCollator({ ...options, isWholeWord: true })([{ inputIds: [5] }], 0)).toThrow(
      'maskedLmCollator: wordIds is undefined, expected a word for each token since isWholeWord is true.',
    )
  })
})

test('seq2SeqCollator moves the labels one to the right for the decoder, and ignores what it filled', () => {
  const collate = seq2SeqCollator({ padTokenId: 0, decoderStartTokenId: 1 })
  const { inputs, labelShift } = collate(
    [
      { inputIds: [5, 6, 7], labels: [8, 9, 2] },
      { inputIds: [5], labels: [8, 2] },
    ],
    0,
  )
  expect(labelShift).toBe(0)
  expect(inputs).toEqual({
    inputIds: { shape: [2, 3], values: Int32Array.of(5, 6, 7, 5, 0, 0) },
    attentionMask: { shape: [2, 3], values: Int32Array.of(1, 1, 1, 1, 0, 0) },
    labels: { shape: [2, 3], values: Int32Array.of(8, 9, 2, 8, 2, -100) },
    decoderInputIds: { shape: [2, 3], values: Int32Array.of(1, 8, 9, 1, 8, 2) },
  })
})

test('classificationCollator gives each row its class, and keeps the segments of pairs', () => {
  const collate = classificationCollator({ padTokenId: 0, numLabels: 3 })
  const rows = [{ inputIds: [5, 6, 7], tokenTypeIds: [0, 1, 1], label: 2 }, { inputIds: [5], label: 0 }] // biome-ignore format: rows
  expect(collate(rows, 0).inputs).toMatchObject({
    tokenTypeIds: { shape: [2, 3], values: Int32Array.of(0, 1, 1, 0, 0, 0) },
    labels: { shape: [2], values: Int32Array.of(2, 0) },
  })
  expect(() => collate([{ inputIds: [5], label: 3 }], 0)).toThrow(
    'classificationCollator: label is 3, expected an integer at least 0 and below 3.',
  )
})

describe('chatExample', () => {
  const render = (messages: ChatMessage[], addGenerationPrompt: boolean): string =>
    messages.map(({ role, content }) => `<${role}>${content}</>\n`).join('') +
    (addGenerationPrompt ? '<assistant>' : '')
  /** One token a character. */
  const encode = (text: string) => ({
    ids: Array.from(text, letter => letter.charCodeAt(0)),
    offsets: Array.from(text, (_, i) => [i, i + 1]),
  })
  const tokenizer = {
    encode,
    applyChatTemplate: (messages: ChatMessage[], options: { addGenerationPrompt: boolean }) =>
      render(messages, options.addGenerationPrompt),
  }
  const say = (role: string, content: string): ChatMessage => ({ role, content })

  test('learns what the assistant says and what ends its turns, nothing else', () => {
    const { inputIds, labels } = chatExample(tokenizer, [
      say('user', 'Hi'),
      say('assistant', 'Yo'),
      say('user', '?'),
      say('assistant', '!'),
    ])
    expect(String.fromCharCode(...Array.from(inputIds))).toBe(
      '<user>Hi</>\n<assistant>Yo</>\n<user>?</>\n<assistant>!</>\n',
    )
    expect(String.fromCharCode(...Array.from(labels!).filter(id => id !== -100))).toBe('Yo</>\n!</>\n')
  })

  test('needs an assistant, and a template that does not rewrite what was said', () => {
    expect(() => chatExample(tokenizer, [say('user', 'Hi')])).toThrow(
      'chatExample: roles are [user], expected at least one assistant.',
    )
    const forgetful = {
      ...tokenizer,
      applyChatTemplate: (messages: ChatMessage[]) => render(messages.slice(-2), false),
    }
    const talk = [say('user', 'a'), say('assistant', 'b'), say('user', 'c'), say('assistant', 'd')]
    expect(() => chatExample(forgetful, talk)).toThrow(
      'chatExample: message 1 is rendered as "<user>a</>\n<assistant>b</>\n", expected the beginning of the whole conversation. ' +
        'The chat template changes earlier turns: train on one turn an example.',
    )
  })
})
