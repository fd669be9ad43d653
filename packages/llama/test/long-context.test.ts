import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LlamaForCausalLM, llamaConfig } from '@heed/llama'
import { init, tf } from '@heed/tensor-backend'
import { beforeAll, expect, test } from 'vitest'

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
