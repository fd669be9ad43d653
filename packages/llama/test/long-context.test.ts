import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LlamaForCausalLM, llamaConfig } from '@heed/llama'
import { init, tf } from '@heed/tensor-backend'
import { PromptCache } from '@heed/transformer'
import { beforeAll, describe, expect, test } from 'vitest'

const stories = join(fileURLToPath(new URL('fixtures', import.meta.url)), 'stories260K')

beforeAll(() => init())

test('a context of 32,768 tokens is read and written on in the memory that its keys and values take', async () => {
  const sizes = { vocabSize: 32, hiddenSize: 8, intermediateSize: 8, numHiddenLayers: 2, maxPositionEmbeddings: 32768 }
  const config = llamaConfig.complete({ ...sizes, numAttentionHeads: 2, numKeyValueHeads: 1 })
  const model = new LlamaForCausalLM(config, { seed: 1 })
  const before = tf.memory().numBytes
  const cache = model.createCache(32768)
  const chunk = Array.from({ length: 1024 }, (_, i) => i % 32)
  for (const count of [...Array(31).fill(1024), 1016, ...Array(8).fill(1)]) {
    tf.dispose(model.forward({ inputIds: [chunk.slice(0, count)], cache, logitsToKeep: 1 }))
  }
  expect(cache.length).toBe(32768)
  // keys and values, of each layer and key head, headDim float32 a position
  expect(tf.memory().numBytes - before).toBe(2 * 2 * 1 * 4 * 4 * 32768)
  cache.dispose()
  const whole = Array.from({ length: 2500 }, (_, i) => (i * 7) % 32)
  const [[last]] = tf.tidy(() =>
    model
      .forward({ inputIds: [whole], logitsToKeep: 1 })
      .logits.argMax(-1)
      .arraySync(),
  ) as [[number]]
  const [written] = await model.generate([whole], { maxNewTokens: 1, eosTokenId: -1 }) // in chunks
  expect(written!.at(-1)).toBe(last)
  model.dispose()
})

test('drafts change nothing about the tokens, and a text longer than trained on is told of once', async () => {
  const model = await LlamaForCausalLM.fromPretrained(stories)
  const warnings: string[] = []
  const options = { maxNewTokens: 60, onWarning: (message: string) => void warnings.push(message) }
  const greedy = await model.generate([[1]], options)
  expect(await model.generate([[1]], { ...options, promptLookupNumTokens: 4 })).toEqual(greedy)
  expect(await model.generate([[1]], { ...options, assistantModel: model })).toEqual(greedy)
  expect(warnings).toEqual([])
  await model.generate([Array(511).fill(403)], { maxNewTokens: 4, eosTokenId: -1, onWarning: options.onWarning })
  expect(warnings).toEqual([
    'generate: the text has 513 tokens, but the model was trained on 512 (maxPositionEmbeddings), so that what it writes from ' +
      'here on may make no sense. Shorten the text, or load the model with config: { rope_scaling } to stretch its positions.',
  ])
  model.dispose()
})

/** Beyond 300 tokens all angles are others: with each token for `dynamic`, once for `longrope`. */
const stretched = {
  dynamic: { ropeType: 'dynamic', factor: 4 },
  longrope: {
    ropeType: 'longrope',
    shortFactor: [1, 1, 1, 1],
    longFactor: [1, 2, 4, 8],
    originalMaxPositionEmbeddings: 300,
  },
} as const

describe.each(['dynamic', 'longrope'] as const)('a model whose angles depend on the length of the text: %s', type => {
  const model = () => {
    const sizes = { vocabSize: 64, hiddenSize: 16, intermediateSize: 16, numHiddenLayers: 3, initializerRange: 0.7 }
    const heads = { numAttentionHeads: 2, numKeyValueHeads: 1, maxPositionEmbeddings: 300 }
    return new LlamaForCausalLM(llamaConfig.complete({ ...sizes, ...heads, ropeScaling: stretched[type] }), { seed: 5 })
  }
  const text = (length: number): number[] => Array.from({ length }, (_, i) => 3 + ((i * i + 7 * i) % 61))
  const options = { maxNewTokens: 24, eosTokenId: -1, onWarning: () => {} }

  test('padding on the left changes nothing about a prompt of several chunks', async () => {
    const llama = model()
    const [long, short] = [text(700), text(650).reverse()]
    const inputIds = [long, [...Array(50).fill(0), ...short]]
    const attentionMask = inputIds.map((_, row) => Array.from({ length: 700 }, (_, i) => (row === 1 && i < 50 ? 0 : 1)))
    const positionIds = [long.map((_, i) => i), long.map((_, i) => Math.max(0, i - 50))]
    const first = tf.tidy(() =>
      llama.forward({ inputIds, attentionMask, positionIds, logitsToKeep: 1 }).logits.argMax(-1).flatten().arraySync(),
    )
    const written = await llama.generate(inputIds, { ...options, attentionMask, maxNewTokens: 1 })
    expect(written.map(row => row[700])).toEqual(first)
    llama.dispose()
  })

  test('a cache of an earlier text and drafts change nothing about what is written', async () => {
    const llama = model()
    const promptCache = new PromptCache(llama)
    for (const length of [200, 290, 310, 420, 430, 250, 270]) {
      const alone = await llama.generate([text(length)], options)
      expect(await llama.generate([text(length)], { ...options, promptCache }), `${length}`).toEqual(alone)
      expect(await llama.generate([text(length)], { ...options, promptLookupNumTokens: 4 })).toEqual(alone)
      expect(await llama.generate([text(length)], { ...options, assistantModel: llama })).toEqual(alone)
      // angles are those of before up to 300 tokens, and from there on those of a long text for `longrope`
      const isReused = type === 'longrope' ? length <= 300 === length + 24 <= 300 : length + 24 <= 300
      expect(promptCache.sharedWith([...alone[0]!, 5])).toBe(isReused ? length + 23 : 0)
    }
    promptCache.dispose()
    llama.dispose()
  })

  test('where drafts end is told of once', async () => {
    const llama = model()
    const warnings: string[] = []
    const onWarning = (message: string) => void warnings.push(message)
    await llama.generate([text(290)], { ...options, promptLookupNumTokens: 4, onWarning })
    expect(warnings.filter(message => message.includes('draft'))).toEqual([
      "generate: the text has 300 tokens, beyond which the model's rope_scaling changes the angles of its positions, so that " +
        'from here on tokens are computed one by one, without drafts. Leave assistantModel and promptLookupNumTokens out for ' +
        'texts of this length.',
    ])
    llama.dispose()
  })
})
