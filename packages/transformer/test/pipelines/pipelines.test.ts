import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { HeedError, tf } from '@heed/tensor-backend'
import {
  AutoModelForSeq2SeqLM,
  bartArchitectures,
  bertArchitectures,
  gpt2Architectures,
  pipeline,
  registerArchitecture,
  type Seq2SeqLm,
} from '@heed/transformer'
import { beforeAll, describe, expect, test } from 'vitest'
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

  test('question-answering', async () => {
    const { inputs, outputs }: Case<{ question: string; context: string }, unknown[]> = expected['question-answering']
    const answer = await pipeline('question-answering', `${folder}/question-answering`)
    expectLike(await answer(inputs), outputs)
    answer.dispose()
  })
})

describe('token-classification', () => {
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

describe('translation and summarization', () => {
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
    await expect(classify(text, { candidateLabels: [] })).rejects.toThrow(
      'zero-shot-classification: candidateLabels is [], expected at least one label. Name the labels to choose from.',
    )
    classify.dispose()
  })
})

describe('bad input', () => {
  test('an unknown task is named', async () => {
    await expect(pipeline('paint' as never, folder)).rejects.toThrow(HeedError)
    await expect(pipeline('paint' as never, folder)).rejects.toThrow(
      'pipeline: task is "paint", expected one of fill-mask, text-generation, text-classification, token-classification, ' +
        'question-answering, feature-extraction, translation, summarization, zero-shot-classification.',
    )
  })

  test('a text without a mask is named, and no tensor stays', async () => {
    const fill = await pipeline('fill-mask', `${folder}/fill-mask`)
    const before = tf.memory().numTensors
    await expect(fill('no mask')).rejects.toThrow(
      'fill-mask: text is "no mask", expected at least one [MASK] in it. Put [MASK] where a word is wanted.',
    )
    expect(tf.memory().numTensors).toBe(before)
    fill.dispose()
  })
})
