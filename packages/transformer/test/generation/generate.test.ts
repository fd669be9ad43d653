import { type HeedErrorCode, isHeedError, tf } from '@heed/tensor-backend'
import { type GenerateOptions, Gpt2LMHeadModel, PromptCache, streamText } from '@heed/transformer'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { letterTokenizer, tinyGpt2, tinyGpt2Config } from '../tiny-gpt2.ts'

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

  test('a stop string ends a sequence, and is written', async () => {
    const tokenizer = letterTokenizer()
    const [free] = await model.generate(prompt, { maxNewTokens: 12 })
    const text = tokenizer.decode(free!)
    const stopStrings = ['never this', text.slice(4, 6)]
    const [row] = await model.generate(prompt, { maxNewTokens: 12, tokenizer, stopStrings })
    const end = text.indexOf(text.slice(4, 6), 2) + 2
    expect(tokenizer.decode(row!)).toBe(text.slice(0, end))
  })

  test('after maxTime no further token is begun', async () => {
    expect((await model.generate(prompt, { maxNewTokens: 8, maxTime: 1e-9 }))[0]!.length).toBe(4)
  })

  test('without a length it writes 20 tokens, or up to the last position, as HF', async () => {
    expect((await model.generate(prompt))[0]!.length).toBe(23)
    const long = Array.from({ length: 32 }, (_, i) => 1 + (i % 9))
    expect((await model.generate([long.slice(0, 25)]))[0]!.length).toBe(32)
    expect(await failureOf([long], {})).toEqual([
      'HEED_ARGUMENT_INVALID',
      "generate: the length of the prompt is 32, expected less than the model's maxPositionEmbeddings, 32. Shorten it, or give maxNewTokens.",
    ])
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

describe('streamText', () => {
  const tokenizer = letterTokenizer()
  const parts = (): { model: typeof model; tokenizer: typeof tokenizer } => ({ model, tokenizer })

  test('gives the continuation in pieces, for a text and for ids', async () => {
    const [row] = await model.generate(prompt, { maxNewTokens: 6 })
    for (const given of [tokenizer.decode(prompt[0]!), prompt[0]!]) {
      const pieces: string[] = []
      for await (const piece of streamText(parts(), given, { maxNewTokens: 6 })) pieces.push(piece)
      expect(pieces).toEqual(row!.slice(3).map(id => tokenizer.decode([id])))
    }
  })

  test('ends the generation when its reader leaves, and waits for a slow one', async () => {
    let computed = 0
    const count: GenerateOptions = { maxNewTokens: 20, logitsProcessors: [() => void computed++] }
    for await (const _ of streamText(parts(), prompt[0]!, count)) {
      await new Promise(resolve => setTimeout(resolve, 40))
      break
    }
    expect(computed).toBeLessThan(4)
  })

  test('a prompt that is none is refused', async () => {
    await expect(streamText(parts(), 5 as never).next()).rejects.toThrow(
      'streamText: prompt is 5, expected a text, a list of ids or a list of messages.',
    )
  })

  test('refuses several sequences', async () => {
    const stream = streamText(parts(), [1], { doSample: true, numReturnSequences: 2 })
    await expect(stream.next()).rejects.toThrow('generate: numReturnSequences is 2, expected 1 with streamText.')
  })

  test('throws what generate throws', async () => {
    const stream = streamText(parts(), [99], {})
    await expect(stream.next()).rejects.toThrow('generate: inputIds[0][0] is 99, expected 0 to 19')
  })
})

describe('drafts', () => {
  const repeating = [[3, 1, 4, 1, 5, 9, 2, 6, 3, 1, 4, 1, 5]]

  test.each<[string, GenerateOptions]>([
    ['greedy', {}],
    ['sampling', { doSample: true, topK: 0, temperature: 0.7, seed: 3 }],
    ['a penalty', { repetitionPenalty: 1.3 }],
  ])('of prompt look-up and of a model leave the text as it is: %s', async (_, options) => {
    const settings = { maxNewTokens: 18, ...options }
    const plain = await model.generate(repeating, settings)
    const draft = tinyGpt2(1)
    tf.tidy(() => draft.lmHead.weight.assign(draft.lmHead.weight.mul(1.1))) // nearly the same model, surer of itself
    for (const assistantConfidenceThreshold of [0, 0.4, 1]) {
      const assisted = { ...settings, assistantModel: draft, assistantConfidenceThreshold, numAssistantTokens: 3 }
      expect(await model.generate(repeating, assisted)).toEqual(plain)
      expect(await model.generate(repeating, { ...assisted, numAssistantTokensSchedule: 'heuristic' })).toEqual(plain)
    }
    expect(await model.generate(repeating, { ...settings, promptLookupNumTokens: 4 })).toEqual(plain)
    draft.dispose()
  })

  test('that run into a dead end, where no token is allowed, end there', async () => {
    const [plain] = await model.generate(prompt, { maxNewTokens: 4 })
    const lost = plain![5] === 7 ? 8 : 7
    const draft = tinyGpt2(1)
    const forward = draft.forward
    draft.forward = inputs => {
      tf.dispose(forward.call(draft, inputs))
      const guess = Array.from({ length: 20 }, (_, id) => (id === lost ? 99 : 0)) // always the same
      return { logits: tf.tensor3d([[guess]]) }
    }
    // after the guess nothing may come; the text itself takes another way
    const prefixAllowedTokensFn = (_: number, ids: readonly number[]): Iterable<number> =>
      ids.length > 3 && ids.at(-1) === lost ? [] : Array(20).keys()
    const settings = { maxNewTokens: 4, prefixAllowedTokensFn }
    expect(await model.generate(prompt, settings)).toEqual([plain])
    expect(await model.generate(prompt, { ...settings, assistantModel: draft })).toEqual([plain])
    draft.dispose()
  })

  test('that hold save passes through the model', async () => {
    const draft = tinyGpt2(1)
    let passes = 0
    const counted = tinyGpt2(1)
    const forward = counted.forward.bind(counted)
    counted.forward = inputs => {
      passes += 1
      return forward(inputs)
    }
    const options = { maxNewTokens: 12, assistantModel: draft, numAssistantTokens: 5, assistantConfidenceThreshold: 0 }
    await counted.generate(prompt, options)
    expect(passes).toBe(2)
    draft.dispose()
    counted.dispose()
  })
})

describe('a prompt cache', () => {
  test('computes only what is new, and gives what generation without it gives', async () => {
    const promptCache = new PromptCache(model)
    const lengths: number[] = []
    const forward = model.forward
    model.forward = inputs => {
      lengths.push((inputs.inputIds as number[][])[0]!.length)
      return forward.call(model, inputs)
    }
    try {
      const conversation = [3, 1, 4, 1, 5]
      const [first] = await model.generate([conversation], { maxNewTokens: 4, promptCache })
      const [second] = await model.generate([[...first!, 7, 7]], { maxNewTokens: 4, promptCache })
      const [other] = await model.generate([[3, 1, 4, 8]], { maxNewTokens: 4, promptCache, promptLookupNumTokens: 2 })
      // The last token written is not in the cache; a prompt that goes on from it brings 1 + 2 new tokens.
      expect(lengths.slice(0, 5)).toEqual([5, 1, 1, 1, 3])
      expect(lengths[8]).toBe(1)
      const prompts = [[...first!, 7, 7]]
      const attentionMask = [prompts[0]!.map(() => 1)] // the padding token of this model is written, too
      expect([second]).toEqual(await model.generate(prompts, { maxNewTokens: 4, attentionMask }))
      expect([other]).toEqual(await model.generate([[3, 1, 4, 8]], { maxNewTokens: 4 }))
      expect(promptCache.length).toBe(7)
    } finally {
      model.forward = forward
      promptCache.dispose()
    }
  })

  test('is whole after an abort', async () => {
    const promptCache = new PromptCache(model)
    const controller = new AbortController()
    const streamer = { put: () => controller.abort() }
    await failureOf(prompt, { maxNewTokens: 6, promptCache, streamer, signal: controller.signal })
    expect(await model.generate(prompt, { maxNewTokens: 6, promptCache })).toEqual(
      await model.generate(prompt, { maxNewTokens: 6 }),
    )
    promptCache.dispose()
  })
})

test('a prompt cache serves one call at a time', async () => {
  const promptCache = new PromptCache(model)
  const first = model.generate(prompt, { maxNewTokens: 6, promptCache })
  expect(await failureOf([[3, 1]], { promptCache })).toEqual([
    'HEED_ARGUMENT_INVALID',
    'generate: promptCache is "in use by another call", expected one that is free. Wait for that call, or make another cache.',
  ])
  const alone = await model.generate(prompt, { maxNewTokens: 6 })
  expect(await first).toEqual(alone)
  expect(await model.generate(prompt, { maxNewTokens: 6, promptCache })).toEqual(alone)
  promptCache.dispose()
})

test('a prompt cache takes no padded prompt', async () => {
  const promptCache = new PromptCache(model)
  expect(await failureOf(prompt, { promptCache, attentionMask: [[0, 1, 1]] })).toEqual([
    'HEED_ARGUMENT_INVALID',
    'generate: attentionMask is [[0,1,1]], expected only 1 with promptCache. Leave the padding of a single prompt out.',
  ])
  promptCache.dispose()
})

describe('where every token is forbidden', () => {
  const all = [...Array(20).keys()]
  const forbidden = (names: string): [HeedErrorCode, string] => [
    'HEED_ARGUMENT_INVALID',
    `generate: every token is forbidden after the first 3, expected one that may come next. Change or leave out ${names}.`,
  ]

  test.each<[GenerateOptions, string]>([
    [{ prefixAllowedTokensFn: () => [] }, 'prefixAllowedTokensFn'],
    [{ prefixAllowedTokensFn: () => [20, -1] }, 'prefixAllowedTokensFn'],
    [{ prefixAllowedTokensFn: () => [5], suppressTokens: [5] }, 'prefixAllowedTokensFn or suppressTokens'],
    [{ suppressTokens: all }, 'suppressTokens'],
    [{ suppressTokens: all, removeInvalidValues: true, numBeams: 1 }, 'suppressTokens'],
    [{ logitsProcessors: [scores => scores.fill(Number.NEGATIVE_INFINITY)] }, 'logitsProcessors'],
  ])('by %o, it is an error, greedy, drawing, with beams and with drafts', async (options, names) => {
    const { numBeams = 2 } = options
    for (const more of [
      {},
      { doSample: true },
      { numBeams },
      { numBeams, doSample: true },
      { promptLookupNumTokens: 2 },
    ]) {
      expect(await failureOf(prompt, { maxNewTokens: 3, ...options, ...more })).toEqual(forbidden(names))
    }
  })

  test('in one beam only, the others go on', async () => {
    const prefixAllowedTokensFn = (_: number, ids: readonly number[]): number[] =>
      ids.length === 3 ? [5, 6] : ids[3] === 5 && ids.length === 4 ? [] : [7]
    const rows = await model.generate(prompt, { maxNewTokens: 3, numBeams: 2, prefixAllowedTokensFn })
    expect(rows).toEqual([[3, 1, 4, 6, 7, 7]])
    const options = { maxNewTokens: 3, numBeams: 2, numReturnSequences: 2, prefixAllowedTokensFn }
    expect(await failureOf(prompt, options)).toEqual([
      'HEED_ARGUMENT_INVALID',
      'generate: numReturnSequences is 2, expected at most 1: no more texts may come. Ask for fewer.',
    ])
  })
})

test('minNewTokens goes before minLength, as in HF', async () => {
  const [free] = await model.generate(prompt, { maxNewTokens: 8 })
  const options = { maxNewTokens: 8, eosTokenId: free![3]!, minLength: 11 }
  expect((await model.generate(prompt, options))[0]!.length).toBe(11)
  expect((await model.generate(prompt, { ...options, minNewTokens: 0 }))[0]!.length).toBe(4)
})

test.each([1, 2])(
  'a forbidden end stays so while exponentialDecayLengthPenalty makes it likelier, %i beams',
  async numBeams => {
    const options = { maxNewTokens: 8, numBeams, eosTokenId: 0, minNewTokens: 6 }
    const [row] = await model.generate(prompt, { ...options, exponentialDecayLengthPenalty: [1, 50] })
    expect(row!.slice(3, 9)).not.toContain(0)
    expect(row!.indexOf(0)).toBe(9) // once it may come, it does
  },
)

test('encoderNoRepeatNgramSize and encoderRepetitionPenalty are about the prompt of a decoder-only model, as in HF', async () => {
  const [row] = await model.generate(prompt, { maxNewTokens: 12, encoderNoRepeatNgramSize: 1 })
  expect(row!.slice(3).filter(id => prompt[0]!.includes(id))).toEqual([])
  const { scores, logits } = await model.generate(prompt, {
    maxNewTokens: 1,
    encoderRepetitionPenalty: 2,
    returnDictInGenerate: true,
    outputScores: true,
    outputLogits: true,
  })
  const wanted = logits![0]![0]!.map((logit, id) =>
    prompt[0]!.includes(id) ? (logit < 0 ? logit / 2 : logit * 2) : logit,
  )
  expect(scores![0]![0]!).toBeAllclose(wanted, { atol: 1e-6 })
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

test('an aborted signal stops it between two pieces of a long prompt, and a prompt cache is whole after it', async () => {
  const long = new Gpt2LMHeadModel({ ...tinyGpt2Config, maxPositionEmbeddings: 310 })
  const forward = long.forward
  long.forward = inputs => {
    const end = performance.now() + 40 // as long as that of a model of some size
    while (performance.now() < end);
    return forward.call(long, inputs)
  }
  const ids = Array.from({ length: 300 }, (_, i) => 1 + ((i * 7) % 19)) // two pieces
  const promptCache = new PromptCache(long)
  const controller = new AbortController()
  let isWritten = false
  setTimeout(() => controller.abort()) // comes at the first turn that generation gives
  const written = long.generate([ids], {
    maxNewTokens: 3,
    promptCache,
    signal: controller.signal,
    streamer: {
      put() {
        isWritten = true
      },
    },
  })
  await expect(written).rejects.toMatchObject({ code: 'HEED_ABORTED' })
  expect(isWritten).toBe(false)
  expect(promptCache.length).toBeGreaterThan(0)
  expect(promptCache.length).toBeLessThan(300)
  long.forward = forward
  const again = await long.generate([ids], { maxNewTokens: 3, promptCache })
  expect(again).toEqual(await long.generate([ids], { maxNewTokens: 3 }))
  promptCache.dispose()
  long.dispose()
})

test('a model that was disposed of is named', async () => {
  const gone = tinyGpt2()
  gone.dispose()
  await expect(gone.generate(prompt)).rejects.toMatchObject({
    code: 'HEED_DISPOSED',
    message: 'generate: the model was disposed of. Load it again to generate with it.',
  })
})

describe('bad input', () => {
  test.each<[string, string]>([
    ['maxNewToken', 'maxNewToken is not an option, expected maxNewTokens.'],
    ['max_new_tokens', 'max_new_tokens is not an option, expected maxNewTokens.'],
    ['numbeams', 'numbeams is not an option, expected numBeams.'],
    ['inputIds', "inputIds is not an option, expected a name of HF's in camelCase."],
  ])('an option %s is refused', async (name, message) => {
    expect(await failureOf(prompt, { [name]: 2 })).toEqual([
      'HEED_ARGUMENT_INVALID',
      `generate: ${message} Rename it or leave it out.`,
    ])
  })

  test.each<GenerateOptions>([
    { eosTokenId: 20 },
    { padTokenId: 20 },
    { forcedBosTokenId: 20 },
    { forcedEosTokenId: [3, 20] },
    { suppressTokens: [20] },
    { beginSuppressTokens: [20] },
    {
      badWordsIds: [
        [1, 2],
        [20, 1],
      ],
    },
    { sequenceBias: [[[1, 20], 2]] },
  ])('%j, beyond the vocabulary, is refused', async options => {
    expect(await failureOf(prompt, options)).toEqual([
      'HEED_ID_OUT_OF_RANGE',
      `generate: ${Object.keys(options)[0]} has the id 20, expected 0 to 19 (vocabSize is 20). ` +
        'Check that the tokenizer and the model belong together.',
    ])
  })

  test.each<[GenerateOptions, number[][], GenerateOptions]>([
    [{ badWordsIds: [[1, 20]] }, prompt, { badWordsIds: [[1]] }],
    [{ sequenceBias: [[[20], 1]] }, prompt, { sequenceBias: [[[1], 1]] }],
    [{ forcedEosTokenId: [3, 20] }, prompt, { forcedEosTokenId: 3 }],
    [{ forcedBosTokenId: 20 }, [[3]], { forcedBosTokenId: 3 }],
    [{ padTokenId: 20 }, [...prompt, ...prompt], { padTokenId: 0 }],
  ])(
    '%j of generation_config.json, beyond the vocabulary, is refused where it is used',
    async (own, prompts, mended) => {
      const name = Object.keys(own)[0]!
      const key = name.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)
      const before = model.generationConfig
      model.generationConfig = { ...own, otherKeys: {} }
      try {
        expect(await failureOf(prompts, { maxNewTokens: 2 })).toEqual([
          'HEED_ID_OUT_OF_RANGE',
          `generation_config.json: ${key} has the id 20, expected 0 to 19 (the model's vocab_size is 20). ` +
            `Correct the file, or give generate another ${name}.`,
        ])
        await model.generate(prompts, { maxNewTokens: 2, ...mended })
        if (name === 'padTokenId' || name === 'forcedBosTokenId') await model.generate(prompt, { maxNewTokens: 2 })
      } finally {
        model.generationConfig = before
      }
    },
  )

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
      { earlyStopping: true },
      'HEED_ARGUMENT_INVALID',
      'generate: earlyStopping is true, expected numBeams above 1 with it. Set numBeams to search, or leave earlyStopping out.',
    ],
    [
      prompt,
      { outputScores: true },
      'HEED_ARGUMENT_INVALID',
      'generate: outputScores is true, expected returnDictInGenerate: true with it. Set it, or leave outputScores out.',
    ],
    [
      prompt,
      { exponentialDecayLengthPenalty: [1, 2] },
      'HEED_ARGUMENT_INVALID',
      'generate: eosTokenId is undefined, expected a token id with exponentialDecayLengthPenalty. Give the token that ends a text.',
    ],
    [
      prompt,
      { stopStrings: 'end' },
      'HEED_ARGUMENT_INVALID',
      'generate: tokenizer is undefined, expected a Tokenizer with stopStrings. Give the tokenizer of the model.',
    ],
    [
      prompt,
      { stopStrings: [''] },
      'HEED_ARGUMENT_INVALID',
      'generate: stopStrings is [""], expected a text or a list of texts, none of them empty. Change it or leave it out.',
    ],
    [
      prompt,
      { forcedEosTokenId: [4, 5], suppressTokens: [5, 4, 6] },
      'HEED_ARGUMENT_INVALID',
      'generate: forcedEosTokenId is [4,5], expected a token that suppressTokens does not hold. Leave it out of one of the two.',
    ],
    [
      [
        [3, 1],
        [4, 1],
      ],
      { promptLookupNumTokens: 3 },
      'HEED_ARGUMENT_INVALID',
      'generate: the number of prompts is 2, expected 1 with promptLookupNumTokens. ' +
        'Generate one at a time, or leave promptLookupNumTokens out.',
    ],
    [
      [[3, 0, 0]],
      {},
      'HEED_ARGUMENT_INVALID',
      'generate: attentionMask[0] ends in 0, expected a token there: padding belongs on the left. ' +
        "Tokenize with padding: { direction: 'left' }.",
    ],
    [
      [
        [0, 3],
        [0, 0],
      ],
      {},
      'HEED_ARGUMENT_INVALID',
      'generate: attentionMask[1] is [0,0], expected a token: the prompt holds padding only. Leave the prompt out, or begin it with a token.',
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
