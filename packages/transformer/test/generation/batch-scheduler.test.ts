import { tf } from '@heed/tensor-backend'
import { BatchScheduler, type BatchSchedulerOptions, type BatchSequence, type SequenceOptions } from '@heed/transformer'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { failureOf } from '../failure-of.ts'
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

const prompts = [[3, 1, 4], [1, 5, 9, 2, 6, 5, 3, 5], [8], [9, 7, 9, 3, 2, 3]]

async function withScheduler<T>(
  options: BatchSchedulerOptions,
  run: (scheduler: BatchScheduler) => Promise<T>,
): Promise<T> {
  const scheduler = new BatchScheduler(model, options)
  try {
    return await run(scheduler)
  } finally {
    await scheduler.dispose()
  }
}

async function idsOf(sequence: BatchSequence): Promise<number[]> {
  const ids: number[] = []
  for await (const { id } of sequence) ids.push(id)
  return ids
}

const alone = async (prompt: number[], options: SequenceOptions): Promise<number[]> =>
  (await model.generate([prompt], options))[0]!.slice(prompt.length)

describe('texts written together', () => {
  const lengths = [9, 3, 14, 6]

  test.each([
    ['all at once', { maxSequences: 8 }],
    ['two at a time, so that they join and leave', { maxSequences: 2 }],
    ['with prompts read in chunks', { maxSequences: 3, prefillChunk: 2 }],
  ])('are those written alone, %s', async (_, options) => {
    await withScheduler(options, async scheduler => {
      const sequences = prompts.map((prompt, i) => scheduler.submit(prompt, { maxNewTokens: lengths[i]! }))
      const expected = await Promise.all(prompts.map((prompt, i) => alone(prompt, { maxNewTokens: lengths[i]! })))
      expect(await Promise.all(sequences.map(idsOf))).toEqual(expected)
      expect(sequences.map(({ finishReason }) => finishReason)).toEqual(prompts.map(() => 'length'))
    })
  })

  test('read a prompt in pieces of one size', async () => {
    const forward = vi.spyOn(model, 'forward')
    const sizesOf = async (length: number) => {
      const prompt = Array.from({ length }, () => 3)
      await withScheduler({ prefillChunk: 8 }, scheduler => idsOf(scheduler.submit(prompt, { maxNewTokens: 1 })))
      return forward.mock.calls.splice(0).map(([{ inputIds }]) => (inputIds as number[][])[0]!.length)
    }
    expect([await sizesOf(8), await sizesOf(10), await sizesOf(17)]).toEqual([[8], [5, 5], [6, 6, 5]])
    forward.mockRestore()
  })

  test('draw by their own seeds and keep their own settings', async () => {
    const options: SequenceOptions[] = [
      { maxNewTokens: 8, doSample: true, topK: 0, seed: 1 },
      { maxNewTokens: 8, doSample: true, temperature: 2, topP: 0.9, seed: 2 },
      { maxNewTokens: 8, repetitionPenalty: 1.5 },
    ]
    await withScheduler({}, async scheduler => {
      const sequences = options.map((each, i) => scheduler.submit(prompts[i]!, each))
      const expected = await Promise.all(options.map((each, i) => alone(prompts[i]!, each)))
      expect(await Promise.all(sequences.map(idsOf))).toEqual(expected)
    })
  })

  test('end at the token that ends texts, and say so', async () => {
    const [first] = await alone(prompts[0]!, { maxNewTokens: 4 })
    await withScheduler({}, async scheduler => {
      const sequence = scheduler.submit(prompts[0]!, { maxNewTokens: 9, eosTokenId: first })
      expect(await idsOf(sequence)).toEqual([first])
      expect(sequence.finishReason).toBe('stop')
    })
  })

  test('end where the context is full when nothing else ends them', async () => {
    await withScheduler({}, async scheduler => {
      const sequence = scheduler.submit(prompts[0]!)
      expect(await idsOf(sequence)).toHaveLength(32 - 3)
      expect(sequence.finishReason).toBe('length')
    })
  })

  test('give log-probabilities of the model, before any setting', async () => {
    await withScheduler({}, async scheduler => {
      const options = { maxNewTokens: 1, doSample: true, temperature: 3, topLogprobs: 2 }
      const { value } = await scheduler.submit(prompts[0]!, options).next()
      const expected = tf.tidy(() =>
        tf.logSoftmax(model.forward({ inputIds: [prompts[0]!], logitsToKeep: 1 }).logits.reshape([20])).arraySync(),
      ) as number[]
      const highest = expected.map((logprob, id) => ({ id, logprob })).sort((a, b) => b.logprob - a.logprob)
      expect(value!.logprobs!.logprob).toBeCloseTo(expected[value!.id]!, 5)
      expect(value!.logprobs!.top.map(({ id }) => id)).toEqual(highest.slice(0, 2).map(({ id }) => id))
    })
  })
})

describe('a prompt that begins like an earlier one', () => {
  test('takes over its cache, and its text is the same', async () => {
    const prompt = Array.from({ length: 20 }, (_, i) => 1 + ((7 * i) % 19))
    await withScheduler({ keptCaches: 1, maxSequences: 1 }, async scheduler => {
      await idsOf(scheduler.submit(prompt, { maxNewTokens: 4 }))
      const lengths: number[] = []
      const forward = model.forward.bind(model)
      model.forward = inputs => {
        lengths.push((inputs.inputIds as number[][])[0]!.length)
        return forward(inputs)
      }
      const ids = await idsOf(scheduler.submit([...prompt, 3], { maxNewTokens: 2 }))
      model.forward = forward
      expect(lengths[0]).toBe(1)
      expect(ids).toEqual(await alone([...prompt, 3], { maxNewTokens: 2 }))
    })
  })
})

describe('readers', () => {
  test('who leave free their place for the next', async () => {
    await withScheduler({ maxSequences: 1 }, async scheduler => {
      const left = scheduler.submit(prompts[0]!)
      const next = scheduler.submit(prompts[1]!, { maxNewTokens: 2 })
      for await (const _ of left) break
      expect(await idsOf(next)).toHaveLength(2)
      expect(left.ids.length).toBeLessThan(32)
    })
  })

  test('who are behind stop their own text only', async () => {
    await withScheduler({}, async scheduler => {
      const slow = scheduler.submit(prompts[0]!, { maxNewTokens: 12, maxUnread: 3 })
      expect(await idsOf(scheduler.submit(prompts[1]!, { maxNewTokens: 12 }))).toHaveLength(12)
      expect(slow.ids).toHaveLength(3 + 3)
      expect(await idsOf(slow)).toEqual(await alone(prompts[0]!, { maxNewTokens: 12 }))
    })
  })

  test('whose signal is aborted get HEED_ABORTED, waiting or under way', async () => {
    await withScheduler({ maxSequences: 1 }, async scheduler => {
      const stop = new AbortController()
      const sequences = [0, 1].map(i => scheduler.submit(prompts[i]!, { signal: stop.signal }))
      await sequences[0]!.next()
      stop.abort()
      const message = 'generate: the signal was aborted, expected it to last.'
      for (const each of sequences) expect(await failureOf(() => idsOf(each))).toEqual(['HEED_ABORTED', message])
      expect(scheduler.load.waiting).toBe(0)
    })
  })

  test('get the error of their own processors, and no other reader does', async () => {
    await withScheduler({}, async scheduler => {
      const broken = scheduler.submit(prompts[0]!, {
        maxNewTokens: 4,
        logitsProcessors: [
          () => {
            throw new Error('broken')
          },
        ],
      })
      const whole = scheduler.submit(prompts[1]!, { maxNewTokens: 4 })
      await expect(idsOf(broken)).rejects.toThrow('broken')
      expect(await idsOf(whole)).toHaveLength(4)
    })
  })
})

test('bad input is refused with one clear message', async () => {
  await withScheduler({}, async scheduler => {
    const failure = (prompt: number[], options?: SequenceOptions) => failureOf(() => scheduler.submit(prompt, options))
    expect(await failure([])).toEqual([
      'HEED_ARGUMENT_INVALID',
      'BatchScheduler: prompt is [], expected at least one token. Begin with the token that begins texts.',
    ])
    expect(await failure(Array.from({ length: 32 }, () => 1))).toEqual([
      'HEED_ARGUMENT_INVALID',
      'BatchScheduler: prompt is 32 tokens long, expected less than the 32 of the context. Shorten it.',
    ])
    expect(await failure([1], { maxNewToken: 2 } as SequenceOptions)).toEqual([
      'HEED_ARGUMENT_INVALID',
      'BatchScheduler: maxNewToken is not an option, expected maxNewTokens. Rename it or leave it out.',
    ])
    expect((await failure([1], { numBeams: 2 } as SequenceOptions))[1]).toMatch('numBeams is not an option')
    expect((await failure([99]))[0]).toBe('HEED_ID_OUT_OF_RANGE')
    expect((await failure([1], { temperature: 2 }))[0]).toBe('HEED_ARGUMENT_INVALID')
  })
  const misspelt = { maxSequence: 2 } as BatchSchedulerOptions
  expect((await failureOf(() => new BatchScheduler(model, misspelt)))[1]).toMatch(
    'maxSequence is not an option, expected maxSequences.',
  )
  for (const name of ['maxSequences', 'prefillChunk', 'contextLength']) {
    expect(await failureOf(() => new BatchScheduler(model, { [name]: 0 }))).toEqual([
      'HEED_ARGUMENT_INVALID',
      `BatchScheduler: ${name} is 0, expected a whole number of at least 1. Change it or leave it out.`,
    ])
  }
  const unset = { contextLength: undefined } as object as BatchSchedulerOptions
  await withScheduler(unset, async scheduler => {
    expect(scheduler.contextLength).toBe(32)
  })
  await withScheduler({ contextLength: 8 }, async scheduler => {
    expect(await idsOf(scheduler.submit([1, 2]))).toHaveLength(6)
  })
})
