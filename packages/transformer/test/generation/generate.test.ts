import { type HeedErrorCode, isHeedError, tf } from '@heed/tensor-backend'
import type { GenerateOptions } from '@heed/transformer'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { tinyGpt2 } from '../tiny-gpt2.ts'

let model: ReturnType<typeof tinyGpt2>
let numTensors: number

beforeAll(async () => {
  await tf.setBackend('cpu')
  model = tinyGpt2()
  numTensors = tf.memory().numTensors
})

afterAll(() => {
  expect(tf.memory().numTensors).toBe(numTensors)
  model.dispose()
})

const prompt = [[3, 1, 4]]

async function failureOf(inputIds: number[][], options: GenerateOptions): Promise<[HeedErrorCode, string]> {
  try {
    await model.generate(inputIds, options)
  } catch (error) {
    if (isHeedError(error)) return [error.code, error.message]
    throw error
  }
  throw new Error('expected a HeedError')
}

describe('sampling', () => {
  const options = { maxNewTokens: 12, doSample: true, topK: 0 }

  test('the same seed writes the same text, another seed another', async () => {
    const first = await model.generate(prompt, { ...options, seed: 1 })
    expect(await model.generate(prompt, { ...options, seed: 1 })).toEqual(first)
    expect(await model.generate(prompt, { ...options, seed: 2 })).not.toEqual(first)
  })

  test('a temperature near 0, or only the best token, writes what greedy writes', async () => {
    const greedy = await model.generate(prompt, { maxNewTokens: 12 })
    expect(await model.generate(prompt, { ...options, temperature: 1e-4 })).toEqual(greedy)
    expect(await model.generate(prompt, { ...options, topK: 1 })).toEqual(greedy)
    expect(await model.generate(prompt, { ...options, topP: 1e-6 })).toEqual(greedy)
  })

  test('draws follow the distribution of the next token', async () => {
    const probabilities = tf.tidy(() => {
      const { logits } = model.forward({ inputIds: prompt, logitsToKeep: 1 })
      return tf.softmax(logits.reshape([20])).dataSync()
    })
    const draws = await model.generate(prompt, { maxNewTokens: 1, doSample: true, topK: 0, numReturnSequences: 4000 })
    const counts = new Float32Array(20)
    for (const row of draws) counts[row[3]!]! += 1 / draws.length
    expect(counts).toBeAllclose(probabilities, { atol: 0.03 })
  })

  test('several sequences of one prompt differ', async () => {
    const rows = await model.generate(prompt, { ...options, numReturnSequences: 3 })
    expect(new Set(rows.map(row => row.join())).size).toBe(3)
    for (const row of rows) expect(row.slice(0, 3)).toEqual(prompt[0])
  })

  test('beams that draw are seeded too', async () => {
    const beams = { ...options, numBeams: 3, seed: 5 }
    expect(await model.generate(prompt, beams)).toEqual(await model.generate(prompt, beams))
  })
})

describe('ending', () => {
  test('a finished sequence is filled with the padding token while others go on', async () => {
    const [free] = await model.generate(prompt, { maxNewTokens: 8 })
    const eosTokenId = free![5]!
    const end = free!.indexOf(eosTokenId, 3)
    const rows = await model.generate([prompt[0]!, [7, 7, 7]], { maxNewTokens: 8, eosTokenId, padTokenId: 19 })
    expect(rows[0]!.slice(0, end + 1)).toEqual(free!.slice(0, end + 1))
    expect(rows[0]!.slice(end + 1).every(id => id === 19)).toBe(true)
    expect(rows[0]!.length).toBe(rows[1]!.length)
  })

  test('a stopping criterion ends a sequence', async () => {
    const [row] = await model.generate(prompt, { maxNewTokens: 8, stoppingCriteria: [ids => ids.length >= 5] })
    expect(row!.length).toBe(5)
  })

  test('without a length it stops at 20 tokens, as HF', async () => {
    expect((await model.generate(prompt))[0]!.length).toBe(20)
  })

  test('minNewTokens holds back the end', async () => {
    const [free] = await model.generate(prompt, { maxNewTokens: 8 })
    const options = { maxNewTokens: 8, eosTokenId: free![3]! }
    expect((await model.generate(prompt, options))[0]!.length).toBe(4)
    expect((await model.generate(prompt, { ...options, minNewTokens: 3 }))[0]!.length).toBeGreaterThan(6)
  })
})

test('a streamer is given each token once, and then the end', async () => {
  const tokens: number[] = []
  let ends = 0
  const streamer = {
    put: ([id]: readonly number[]) => {
      tokens.push(id!)
    },
    end: () => {
      ends += 1
    },
  }
  const [row] = await model.generate(prompt, { maxNewTokens: 6, streamer })
  expect([tokens, ends]).toEqual([row!.slice(3), 1])
})

test('the repetition penalty changes what is written', async () => {
  const [free] = await model.generate(prompt, { maxNewTokens: 12 })
  const [penalised] = await model.generate(prompt, { maxNewTokens: 12, noRepeatNgramSize: 1 })
  expect(new Set(penalised).size).toBe(15)
  expect(new Set(free).size).toBeLessThan(15)
})

test('an aborted signal stops it between two tokens', async () => {
  const controller = new AbortController()
  let count = 0
  const streamer = {
    put: () => {
      count += 1
      if (count === 3) controller.abort()
    },
  }
  expect(await failureOf(prompt, { maxNewTokens: 10, streamer, signal: controller.signal })).toEqual([
    'HEED_ABORTED',
    'generate: the signal was aborted, expected it to last.',
  ])
  expect(count).toBe(3)
})

describe('bad input', () => {
  test.each<[number[][], GenerateOptions, HeedErrorCode, string]>([
    [
      [[20]],
      {},
      'HEED_ID_OUT_OF_RANGE',
      'generate: inputIds[0][0] is 20, expected 0 to 19 (vocabSize is 20). Check that the tokenizer and the model belong together.',
    ],
    [
      [[]],
      {},
      'HEED_SHAPE_MISMATCH',
      'generate: inputIds has shape [1, 0], expected at least one sequence of at least one token.',
    ],
    [
      prompt,
      { temperature: 0, doSample: true },
      'HEED_ARGUMENT_INVALID',
      'generate: temperature is 0, expected a number above 0. Change it or leave it out.',
    ],
    [
      prompt,
      { topP: 0.9 },
      'HEED_ARGUMENT_INVALID',
      'generate: topP is 0.9, expected doSample: true with it. Set doSample: true to sample, or leave topP out.',
    ],
    [
      prompt,
      { maxNewTokens: 1.5 },
      'HEED_ARGUMENT_INVALID',
      'generate: maxNewTokens is 1.5, expected a positive integer. Change it or leave it out.',
    ],
    [
      prompt,
      { maxLength: 3 },
      'HEED_ARGUMENT_INVALID',
      'generate: maxLength is 3, expected more than the 3 tokens of the prompt. Give maxNewTokens instead.',
    ],
    [
      prompt,
      { numReturnSequences: 2 },
      'HEED_ARGUMENT_INVALID',
      'generate: numReturnSequences is 2, expected at most numBeams (1) without sampling. Set doSample: true, or more beams.',
    ],
    [
      prompt,
      { numBeams: 2, streamer: { put: () => {} } },
      'HEED_ARGUMENT_INVALID',
      'generate: numBeams is 2, expected 1 with a streamer. Leave the streamer out: beams change until the end.',
    ],
    [
      prompt,
      { attentionMask: [[1, 1]] },
      'HEED_SHAPE_MISMATCH',
      'generate: attentionMask has shape [1, 2], expected [1, 3].',
    ],
    [
      prompt,
      { attentionMask: [[1, 1, 0]] },
      'HEED_ARGUMENT_INVALID',
      'generate: attentionMask[0] ends in 0, expected a token there: padding belongs on the left. ' +
        "Tokenize with padding: { direction: 'left' }.",
    ],
    [
      prompt,
      { maxNewTokens: 40 },
      'HEED_ID_OUT_OF_RANGE',
      'GPT2Model: the last position is 32, expected 0 to 31 (maxPositionEmbeddings is 32). Shorten the text, or train with more positions.',
    ],
  ])('%j with %j is refused', async (inputIds, options, code, message) => {
    expect(await failureOf(inputIds, options)).toEqual([code, message])
  })
})
