import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { HeedError, tf } from '@heed/tensor-backend'
import {
  AutoModelForSeq2SeqLM,
  bartArchitectures,
  bertArchitectures,
  type GeneratedText,
  gpt2Architectures,
  pipeline,
  type Question,
  registerArchitecture,
  type Seq2SeqLm,
} from '@heed/transformer'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { failureOf } from '../failure-of.ts'
import { letterTokenizer, tinyGpt2 } from '../tiny-gpt2.ts'

const folder = fileURLToPath(new URL('../fixtures/pipelines/', import.meta.url))
const expected = camelCased(JSON.parse(readFileSync(`${folder}/expected.json`, 'utf8')))

/** HF's keys in camelCase; tasks keep their names. */
function camelCased(value: unknown): never {
  if (Array.isArray(value)) return value.map(camelCased) as never
  if (typeof value !== 'object' || value === null) return value as never
  const camel = (key: string): string => key.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [camel(key), camelCased(item)])) as never
}

/** Numbers within 1e-4, all else equal. */
function expectLike(actual: unknown, wanted: unknown, path = 'result'): void {
  if (typeof wanted === 'number') {
    expect(Math.abs((actual as number) - wanted), path).toBeLessThan(1e-4)
  } else if (typeof wanted === 'object' && wanted !== null) {
    expect(Object.keys(actual as object).sort(), path).toEqual(Object.keys(wanted).sort())
    for (const [key, value] of Object.entries(wanted)) {
      expectLike((actual as Record<string, unknown>)[key], value, `${path}.${key}`)
    }
  } else expect(actual, path).toBe(wanted)
}

beforeAll(async () => {
  await tf.setBackend('cpu')
  registerArchitecture(...bertArchitectures, ...gpt2Architectures, ...bartArchitectures)
})

interface Case<I, O> {
  inputs: I[]
  outputs: O
}

describe('transformers gives the same for', () => {
  test('fill-mask, one by one and in a batch', async () => {
    const { inputs, outputs }: Case<string, unknown[]> = expected['fill-mask']
    const fill = await pipeline('fill-mask', `${folder}/fill-mask`)
    const before = tf.memory().numTensors
    expectLike(await fill(inputs, { topK: 3 }), outputs)
    expectLike(await fill(inputs[0]!, { topK: 3 }), outputs[0])
    expect(tf.memory().numTensors).toBe(before)
    fill.dispose()
  })

  test('feature-extraction', async () => {
    const { inputs, outputs }: Case<string, number[][][]> = expected['feature-extraction']
    const extract = await pipeline('feature-extraction', `${folder}/fill-mask`, { onWarning: () => {} })
    expectLike(
      await extract(inputs),
      outputs.map(tokens => [tokens]),
    )
    expectLike(await extract(inputs[0]!), [outputs[0]])
    const [mean] = (await extract(inputs, { pooling: 'mean', normalize: true })) as number[][]
    const sums = outputs[0]![0]!.map((_, i) => outputs[0]!.reduce((sum, token) => sum + token[i]!, 0))
    const length = Math.hypot(...sums)
    expectLike(
      mean,
      sums.map(sum => sum / length),
    )
    expectLike(((await extract(inputs, { pooling: 'cls' })) as number[][])[1], outputs[1]![0])
    extract.dispose()
  })

  test('text-classification', async () => {
    const { inputs, outputs }: Case<string, unknown[][]> = expected['text-classification']
    const classify = await pipeline('text-classification', `${folder}/text-classification`)
    expectLike(await classify(inputs, { topK: null, batchSize: 3 }), outputs)
    expectLike(await classify(inputs[0]!), outputs[0]!.slice(0, 1))
    const likeliest = outputs.map(([best]) => best)
    expectLike(await classify(inputs), likeliest)
    expectLike(
      await classify(inputs, { topK: 1 }),
      likeliest.map(best => [best]),
    )
    classify.dispose()
  })

  test.each(['none', 'simple', 'first', 'average', 'max'] as const)(
    'token-classification, aggregation %s',
    async aggregationStrategy => {
      const { inputs, outputs }: Case<string, Record<string, unknown>> = expected['token-classification']
      const classify = await pipeline('token-classification', `${folder}/token-classification`)
      expectLike(await classify(inputs, { aggregationStrategy }), outputs[aggregationStrategy])
      classify.dispose()
    },
  )

  test.each(['none', 'simple', 'first', 'average', 'max'] as const)(
    'token-classification by a byte-level BPE, which marks no subwords, aggregation %s',
    async aggregationStrategy => {
      const { inputs, outputs }: Case<string, Record<string, unknown>> = expected['token-classification-byte-level']
      const classify = await pipeline('token-classification', `${folder}/token-classification-byte-level`)
      expectLike(await classify(inputs, { aggregationStrategy, ignoreLabels: [] }), outputs[aggregationStrategy])
      classify.dispose()
    },
  )

  test('token-classification of a text longer than the model takes, with a stride', async () => {
    const { inputs, outputs }: Case<string, unknown[]> = expected['token-classification-stride']
    const classify = await pipeline('token-classification', `${folder}/token-classification`)
    const options = { aggregationStrategy: 'first', stride: 8, ignoreLabels: [] } as const
    expectLike(await classify(inputs, options), outputs)
    await expect(classify(inputs, { stride: 8 })).rejects.toThrow(
      'token-classification: stride is 8, expected an aggregationStrategy other than none with it. Choose one, or leave stride out.',
    )
    classify.dispose()
  })

  test('question-answering, the last with a context longer than the model takes', async () => {
    const { inputs, outputs }: Case<Question, { options: { topK: number }; answers: unknown[] }[]> =
      expected['question-answering']
    const answer = await pipeline('question-answering', `${folder}/question-answering`)
    for (const { options, answers } of outputs) {
      expectLike(await answer(inputs, options), answers)
      expectLike(await answer(inputs[2]!, options), answers[2])
    }
    answer.dispose()
  })
})

describe('fill-mask', () => {
  test('chooses among targets, with the probabilities that they have among all tokens', async () => {
    const { inputs, outputs }: Case<string, { tokenStr: string; score: number }[][]> = expected['fill-mask']
    const warnings: string[] = []
    const fill = await pipeline('fill-mask', `${folder}/fill-mask`)
    const [first, , third] = outputs[0]!
    expectLike(await fill(inputs[0]!, { targets: [third!.tokenStr, first!.tokenStr] }), [first, third])
    await fill(inputs[0]!, { targets: 'foxes', onWarning: text => warnings.push(text) })
    expect(warnings).toEqual(['fill-mask: target "foxes" is no token of the vocabulary, "fox" is taken instead.'])
    expect(await fill(inputs[0]!, { targets: '[CLS]' })).toMatchObject([{ tokenStr: '[CLS]' }])
    fill.dispose()
  })

  test('a mask that was cut off with the end of a long text is told apart from a missing one', async () => {
    const fill = await pipeline('fill-mask', `${folder}/fill-mask`)
    await expect(fill(`${'the '.repeat(60)} [MASK]`)).rejects.toThrow(
      'fill-mask: the number of tokens of a text is 63, expected at most the 48 that the model takes, or [MASK] among the first of them. Shorten the text.',
    )
    fill.dispose()
  })
})

describe('token-classification', () => {
  test('is ner too, as text-classification is sentiment-analysis', async () => {
    const text = 'Anna lives in Paris.'
    const parts = await pipeline('token-classification', `${folder}/token-classification`)
    expect(await (await pipeline('ner', parts))(text)).toEqual(await parts(text))
    parts.dispose()
    const classify = await pipeline('sentiment-analysis', `${folder}/text-classification`)
    expect((await classify([text, text])).map(({ label }) => label)).toHaveLength(2)
    classify.dispose()
  })

  test('a long text is cut where the positions end, which RoBERTa counts from behind its padding', async () => {
    const classify = await pipeline('token-classification', `${folder}/token-classification-byte-level`)
    const labels = await classify('a '.repeat(60), { ignoreLabels: [] })
    expect(labels.length).toBe(30) // 34 positions, two of them before the first token, and two special tokens
    classify.dispose()
  })
})

describe('text-generation', () => {
  const tokenizer = letterTokenizer()

  test('a batch of prompts of unequal length writes what each writes alone', async () => {
    const model = tinyGpt2()
    const write = await pipeline('text-generation', { model, tokenizer })
    const prompts = ['abc', 'fghij']
    const together = await write(prompts, { maxNewTokens: 6 })
    const alone = [await write('abc', { maxNewTokens: 6 }), await write('fghij', { maxNewTokens: 6 })]
    expect(together).toEqual(alone)
    expect(together[0]![0]!.generatedText.length).toBe(9)
    const [tail] = await write('abc', { maxNewTokens: 6, returnFullText: false })
    expect(`abc${tail!.generatedText}`).toBe(together[0]![0]!.generatedText)
    write.dispose()
  })
})

describe('text-generation by a tokenizer of its own', () => {
  const model = tinyGpt2()
  afterAll(() => model.dispose())

  test('stops at stopStrings, which it reads by its own tokenizer', async () => {
    const write = await pipeline('text-generation', { model, tokenizer: letterTokenizer() })
    const [{ generatedText: whole }] = (await write('abc', { maxNewTokens: 8 })) as [GeneratedText]
    const stopStrings = whole.slice(4, 6)
    const [{ generatedText }] = (await write('abc', { maxNewTokens: 8, stopStrings })) as [GeneratedText]
    expect(generatedText).toBe(whole.slice(0, whole.indexOf(stopStrings, 3) + 2))
  })

  test('answers a conversation by the chat template, and goes on with what the assistant began', async () => {
    const tokenizer = letterTokenizer()
    const chat_template =
      "{% for message in messages %}{{ message['role'][0] + message['content'] }}{% endfor %}{% if add_generation_prompt %}a{% endif %}"
    tokenizer.config = { chat_template }
    const write = await pipeline('text-generation', { model, tokenizer })
    const user = { role: 'user', content: 'bcd' }
    const options = { maxNewTokens: 5 }
    const text = async (prompt: string) =>
      (await write(prompt, { ...options, returnFullText: false }))[0]!.generatedText
    const [asked, begun] = [await text('ubcda'), await text('ubcdaef')]
    const answered = [{ generatedText: [user, { role: 'assistant', content: asked }] }]
    expect(await write([user], options)).toEqual(answered)
    expect(await write([user], { ...options, returnFullText: false })).toEqual([{ generatedText: asked }])
    const started = [user, { role: 'assistant', content: 'ef' }]
    expect(await write([[user], started], options)).toEqual([
      answered,
      [{ generatedText: [user, { role: 'assistant', content: `ef${begun}` }] }],
    ])
  })

  test('refuses a prompt longer than the model takes', async () => {
    const write = await pipeline('text-generation', { model, tokenizer: letterTokenizer() })
    await expect(write(['a', 'a'.repeat(33)], { maxNewTokens: 1 })).rejects.toThrow(
      'text-generation: the number of tokens of a prompt is 33, expected at most the 32 that model and tokenizer take. Shorten it.',
    )
  })
})

describe('translation and summarization', () => {
  test('cut no text unasked: one that the model has no positions for is refused, one too long for the tokenizer warned of', async () => {
    const model = (await AutoModelForSeq2SeqLM.fromPretrained(
      fileURLToPath(new URL('../fixtures/bart-tiny', import.meta.url)),
    )) as Seq2SeqLm
    const tokenizer = letterTokenizer()
    const translate = await pipeline('translation', { model, tokenizer })
    const long = 'fghi'.repeat(10)
    await expect(translate([long, 'a'])).rejects.toThrow(
      'translation: the number of tokens of a text is 40, expected at most the 32 that model and tokenizer take. ' +
        'Shorten it, or set truncation: true to leave out its end.',
    )
    const cut = await translate(long, { truncation: true, maxNewTokens: 3 })
    expect(cut).toEqual(await translate(long.slice(0, 32), { maxNewTokens: 3 }))
    Object.assign(tokenizer.config, { model_max_length: 8 })
    const warnings: string[] = []
    const options = { maxNewTokens: 3, onWarning: (warning: string) => void warnings.push(warning) }
    expect(await translate(long.slice(0, 32), options)).toEqual(cut)
    expect(warnings).toEqual([
      'translation: a text has 32 tokens, but the tokenizer names 8 as the most (model_max_length), so that what the model ' +
        'writes may make no sense. Shorten it, or set truncation: true to leave out its end.',
    ])
    model.dispose()
  })

  test('keep what is written for each text of a list together', async () => {
    const model = (await AutoModelForSeq2SeqLM.fromPretrained(
      fileURLToPath(new URL('../fixtures/bart-tiny', import.meta.url)),
    )) as Seq2SeqLm
    const translate = await pipeline('translation', { model, tokenizer: letterTokenizer() })
    const options = { maxNewTokens: 4, numBeams: 2, numReturnSequences: 2 }
    const [first, second] = [await translate('fghi', options), await translate('abc', options)]
    expect(first).toHaveLength(2)
    expect(await translate(['fghi', 'abc'], { ...options, batchSize: 1 })).toEqual([first, second])
    model.dispose()
  })

  test('give a list of one for a single text, and write what generate writes', async () => {
    const model = (await AutoModelForSeq2SeqLM.fromPretrained(
      fileURLToPath(new URL('../fixtures/bart-tiny', import.meta.url)),
    )) as Seq2SeqLm
    const tokenizer = letterTokenizer()
    const options = { maxNewTokens: 6, numBeams: 2 }
    const [ids] = await model.generate([[...tokenizer.encode('fghi').ids]], options)
    const text = tokenizer.decode(ids!)
    const parts = { model, tokenizer }
    expect(await (await pipeline('translation', parts))('fghi', options)).toEqual([{ translationText: text }])
    expect(await (await pipeline('summarization', parts))(['fghi', 'fghi'], options)).toEqual([
      { summaryText: text },
      { summaryText: text },
    ])
    model.dispose()
  })
})

describe('zero-shot-classification', () => {
  test('orders labels by the cosine of their embeddings', async () => {
    const classify = await pipeline('zero-shot-classification', `${folder}/fill-mask`, { onWarning: () => {} })
    const text = 'The quick fox.'
    const options = { candidateLabels: ['city', 'fox', 'rain'], hypothesisTemplate: 'the quick {}.' }
    const { labels, scores } = await classify(text, options)
    expect(labels[0]).toBe('fox')
    expect(scores.reduce((a, b) => a + b)).toBeCloseTo(1)
    expect(await classify(text, { ...options, candidateLabels: 'city, fox,rain' })).toEqual({
      ...{ sequence: text },
      labels,
      scores,
    })
    await expect(classify(text)).rejects.toThrow(
      'zero-shot-classification: candidateLabels is [], expected at least one',
    )
    await expect(classify(text, { ...options, hypothesisTemplate: 'the fox.' })).rejects.toThrow(
      'zero-shot-classification: hypothesisTemplate is "the fox.", expected a text with {} in it. Put {} where the label goes.',
    )
    await expect(classify(text, { candidateLabels: [] })).rejects.toThrow(
      'zero-shot-classification: candidateLabels is [], expected at least one label. Name the labels to choose from.',
    )
    classify.dispose()
  })
})

describe('bad input', () => {
  const parts = { model: tinyGpt2(), tokenizer: letterTokenizer() }
  afterAll(() => parts.model.dispose())

  test('an unknown task is named', async () => {
    await expect(pipeline('paint' as never, folder)).rejects.toThrow(HeedError)
    await expect(pipeline('paint' as never, folder)).rejects.toThrow(
      'pipeline: task is "paint", expected one of fill-mask, text-generation, text-classification, token-classification, ' +
        'question-answering, feature-extraction, translation, summarization, zero-shot-classification, ner, sentiment-analysis.',
    )
  })

  test('a text without a mask is named, and no tensor stays', async () => {
    const fill = await pipeline('fill-mask', `${folder}/fill-mask`)
    const before = tf.memory().numTensors
    await expect(fill('no mask')).rejects.toThrow(
      'fill-mask: text is "no mask", expected at least one [MASK] in it. Put [MASK] where a word is wanted.',
    )
    await expect(fill('word '.repeat(2000))).rejects.toThrow(/^fill-mask: text is "(?:word ){15}word\.\.\., expected /)
    expect(tf.memory().numTensors).toBe(before)
    fill.dispose()
  })

  test('an option of the call or an unknown one is not taken for one of loading', async () => {
    await expect(pipeline('ner', folder, { aggregationStrategy: 'simple' } as never)).rejects.toThrow(
      'pipeline: aggregationStrategy is "simple", expected it in the call. Give it there: run(input, { aggregationStrategy }).',
    )
    await expect(pipeline('ner', folder, { cache_dir: 'x' } as never)).rejects.toThrow(
      'pipeline: cache_dir is not an option, expected cacheDir. Rename it or leave it out.',
    )
  })

  test('a question that leaves no room for its context is told how long it may be', async () => {
    const answer = await pipeline('question-answering', `${folder}/question-answering`)
    await expect(answer({ question: 'the '.repeat(45), context: 'fox' })).rejects.toThrow(
      'question-answering: the number of tokens of a question is 45, expected at most 44, so that there is room for the context. Shorten it, or raise maxSeqLen.',
    )
    expect((await answer({ question: 'the '.repeat(44), context: 'the fox' })).answer).toMatch(/^(the|fox)$/)
    answer.dispose()
  })

  const change = 'Change it or leave it out.'
  test.each([
    ['fill-mask', { topK: 0 }, `topK is 0, expected a positive integer. ${change}`],
    ['fill-mask', { topK: 1.5 }, `topK is 1.5, expected a positive integer. ${change}`],
    ['fill-mask', { batchSize: -1 }, `batchSize is -1, expected a positive integer. ${change}`],
    ['fill-mask', { batchSize: Number.NaN }, `batchSize is NaN, expected a positive integer. ${change}`],
    ['fill-mask', { targets: [] }, `targets is [], expected a text or a list of at least one. ${change}`],
    ['fill-mask', { top_k: 3 }, 'top_k is not an option, expected topK. Rename it or leave it out.'],
    [
      'token-classification',
      { aggregationStrategy: 'foo' },
      `aggregationStrategy is "foo", expected one of none, simple, first, average, max. ${change}`,
    ],
    ['question-answering', { maxAnswerLen: 0 }, `maxAnswerLen is 0, expected a positive integer. ${change}`],
    ['feature-extraction', { pooling: 'max' }, `pooling is "max", expected one of none, mean, cls. ${change}`],
    [
      'feature-extraction',
      { normalize: true },
      "normalize is true, expected a pooling with it. Set pooling to 'mean' or 'cls', or leave normalize out.",
    ],
    [
      'text-generation',
      { returnDictInGenerate: true },
      "returnDictInGenerate is true, expected none in a pipeline, which gives texts. Call the model's own generate for it.",
    ],
    [
      'translation',
      { max_new_tokens: 3 },
      'max_new_tokens is not an option, expected maxNewTokens. Rename it or leave it out.',
    ],
  ] as const)('%s refuses %o', async (task, options, message) => {
    const run = await pipeline(task as 'fill-mask', parts as never)
    const input = (task === 'question-answering' ? { question: 'a', context: 'b' } : 'a') as string
    const failure = await failureOf(() => run(input, options as never))
    expect(failure).toEqual(['HEED_ARGUMENT_INVALID', `${task}: ${message}`])
  })

  test.each([
    ['fill-mask', undefined, 'the input is undefined, expected a text.'],
    ['fill-mask', ['a [MASK]', 5], 'input 1 is 5, expected a text.'],
    ['text-generation', {}, 'the input is {}, expected a text, or a list of messages with role and content.'],
    [
      'question-answering',
      { question: 'who?', context: '' },
      'the input is {"question":"who?","context":""}, expected an object with the texts question and context, neither of them empty.',
    ],
  ] as const)('%s refuses the input %o', async (task, input, message) => {
    const run = await pipeline(task as 'fill-mask', parts as never)
    const failure = await failureOf(() => run(input as never))
    expect(failure).toEqual(['HEED_ARGUMENT_INVALID', `${task}: ${message} Give one, or a list of them.`])
  })
})
