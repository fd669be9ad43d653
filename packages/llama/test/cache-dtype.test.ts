import { fileURLToPath } from 'node:url'
import { LlamaForCausalLM, llamaConfig, mistral } from '@heed/llama'
import { tf } from '@heed/tensor-backend'
import { BatchScheduler, type CacheOptions, type GenerateOptions, PromptCache } from '@heed/transformer'
import { testOnBackends } from '@heed/transformer/testing'
import { expect } from 'vitest'

const stories = fileURLToPath(new URL('fixtures/stories260K', import.meta.url))
const kernelBackends = ['native', 'wasm'] as const

/** How far logits of a trained model, -18 to 21, may be from those of a float32 cache: at most, and on average. */
const tolerance = { float16: { most: 0.05, mean: 0.004 }, q8_0: { most: 1.5, mean: 0.2 } } as const

type Dtype = keyof typeof tolerance

/** Logits of the model token by token after a first part, [ids.length - first][vocabSize]. */
function logitsOf(model: LlamaForCausalLM, ids: number[], first: number, options: CacheOptions): Float32Array[] {
  const cache = model.createCache(undefined, options)
  const read = (part: number[]): Float32Array => {
    const { logits } = model.forward({ inputIds: [part], cache, logitsToKeep: 1 })
    const values = logits.dataSync<'float32'>()
    logits.dispose()
    return values
  }
  const rows = [read(ids.slice(0, first)), ...ids.slice(first).map(id => read([id]))]
  cache.dispose()
  return rows
}

testOnBackends(
  'a cache in few bits gives logits near those of float32, in a part of the memory',
  async () => {
    const model = await LlamaForCausalLM.fromPretrained(stories)
    const [ids] = (await model.generate([[1]], { maxNewTokens: 200 })) as [number[]]
    const before = tf.memory().numTensors
    const exact = logitsOf(model, ids, 100, {})
    for (const cacheDtype of ['float16', 'q8_0'] as const) {
      const rows = logitsOf(model, ids, 100, { cacheDtype })
      const distances = rows.flatMap((row, i) => Array.from(row, (logit, j) => Math.abs(logit - exact[i]![j]!)))
      const farthest = distances.reduce((most, distance) => Math.max(most, distance))
      expect(farthest, cacheDtype).toBeLessThan(tolerance[cacheDtype].most)
      const mean = distances.reduce((sum, distance) => sum + distance) / distances.length
      expect(mean, cacheDtype).toBeLessThan(tolerance[cacheDtype].mean)
      expect(mean, `${cacheDtype} is used`).toBeGreaterThan(tolerance[cacheDtype].mean / 10)
    }
    expect(tf.memory().numTensors).toBe(before)
    model.dispose()
  },
  kernelBackends,
)

testOnBackends(
  'a cache of 32,768 tokens takes the bytes of its rows, and no copy of them is left',
  async () => {
    const sizes = {
      vocabSize: 32,
      hiddenSize: 64,
      intermediateSize: 8,
      numHiddenLayers: 2,
      maxPositionEmbeddings: 32768,
    }
    const config = llamaConfig.complete({ ...sizes, numAttentionHeads: 1, numKeyValueHeads: 1 })
    const model = new LlamaForCausalLM(config, { seed: 1 })
    const before = tf.memory()
    const bytesPerRow = { float32: 64 * 4, float16: 64 * 2, q8_0: 64 + 2 * 2 }
    for (const [cacheDtype, bytes] of Object.entries(bytesPerRow)) {
      const cache = model.createCache(32768, { cacheDtype: cacheDtype as Dtype })
      for (const count of [256, 1, 1, 1, 1, 3, 1]) {
        tf.dispose(model.forward({ inputIds: [Array(count).fill(5)], cache, logitsToKeep: 1 }))
        expect(tf.memory().numTensors - before.numTensors).toBe(4)
      }
      expect(tf.memory().numBytes - before.numBytes, cacheDtype).toBe(2 * 2 * bytes * 32768)
      cache.dispose()
    }
    expect(tf.memory().numTensors).toBe(before.numTensors)
    model.dispose()
  },
  kernelBackends,
)

testOnBackends(
  'a text is the same in one cache or another, in a batch, with drafts and with a window that moves',
  async () => {
    const sizes = { vocabSize: 40, hiddenSize: 24, intermediateSize: 16, numHiddenLayers: 2, initializerRange: 0.5 }
    const heads = { numAttentionHeads: 2, numKeyValueHeads: 1, slidingWindow: 24, maxPositionEmbeddings: 1000 }
    const layerTypes = ['sliding_attention', 'full_attention'] as const
    const config = mistral.config.complete({ ...sizes, ...heads, layerTypes })
    const model = new LlamaForCausalLM(config, { seed: 3, relative: mistral })
    const before = tf.memory().numTensors
    const prompts = [40, 3, 22].map(length => Array.from({ length }, (_, i) => 3 + ((i * i + 7 * i) % 37)))
    for (const cacheDtype of ['float16', 'q8_0'] as const) {
      const options = { eosTokenId: -1, maxNewTokens: 40 }
      const write = async (prompt: number[], more: GenerateOptions = { cacheDtype }): Promise<number[]> =>
        (await model.generate([prompt], { ...options, ...more }))[0]!
      const alone: number[][] = []
      for (const prompt of prompts) alone.push(await write(prompt))
      expect(await write(prompts[0]!, { cacheDtype, cacheImplementation: 'full' })).toEqual(alone[0])
      expect(await write(prompts[0]!, { cacheDtype, promptLookupNumTokens: 3 })).toEqual(alone[0])
      const promptCache = new PromptCache(model, { cacheDtype })
      for (const [i, prompt] of prompts.entries()) expect(await write(prompt, { promptCache })).toEqual(alone[i])
      promptCache.dispose()
      const beams = { ...options, numBeams: 3, maxNewTokens: 12 }
      const [found] = await model.generate([prompts[1]!], { ...beams, cacheDtype })
      expect(found).toEqual((await model.generate([prompts[1]!], beams))[0])
      const scheduler = new BatchScheduler(model, { maxSequences: 3, cacheOptions: { cacheDtype } })
      const sequences = prompts.map(prompt => scheduler.submit(prompt, options))
      for (const sequence of sequences) for await (const _ of sequence);
      expect(sequences.map(({ ids }) => ids)).toEqual(alone)
      await scheduler.dispose()
    }
    expect(tf.memory().numTensors).toBe(before)
    model.dispose()
  },
  kernelBackends,
)
