import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { LlamaForCausalLM, llamaArchitectures, mistral } from '@heed/llama'
import { init, tf } from '@heed/tensor-backend'
import {
  AutoModelForCausalLM,
  BatchScheduler,
  type GenerateOptions,
  PromptCache,
  registerArchitecture,
} from '@heed/transformer'
import { testOnBackends } from '@heed/transformer/testing'
import { describe, expect, test } from 'vitest'

registerArchitecture(...llamaArchitectures)

interface LongText {
  folder: string
  slidingWindow: number
  cases: {
    name: string
    inputs: { inputIds: number[][]; attentionMask: number[][] }
    options: GenerateOptions
    ids: number[][]
  }[]
}

const fixtures = new URL('fixtures/', import.meta.url)
const texts: LongText[] = JSON.parse(await readFile(new URL('sliding-window.json', fixtures), 'utf8'))

describe.each(texts)('$folder with a window of $slidingWindow', ({ folder, slidingWindow, cases }) => {
  testOnBackends('writes what transformers writes, whatever its cache keeps', async () => {
    const config = { sliding_window: slidingWindow }
    const model = await AutoModelForCausalLM.fromPretrained(fileURLToPath(new URL(folder, fixtures)), { config })
    const before = tf.memory().numTensors
    for (const { name, inputs, options: settings, ids } of cases) {
      const { inputIds, attentionMask } = inputs
      const options = { ...settings, attentionMask, onWarning: () => {} }
      for (const cacheImplementation of ['hybrid', 'full'] as const) {
        expect(await model.generate(inputIds, { ...options, cacheImplementation }), name).toEqual(ids)
      }
      if (inputIds.length > 1) continue
      expect(await model.generate(inputIds, { ...options, promptLookupNumTokens: 5 }), name).toEqual(ids)
      expect(await model.generate(inputIds, { ...options, assistantModel: model }), name).toEqual(ids)
    }
    expect(tf.memory().numTensors).toBe(before)
    model.dispose()
  })
})

/** A model of random weights whose layers have a window, and every other layer if `isAlternating` none. */
function tinyMistral(slidingWindow: number, isAlternating = false): LlamaForCausalLM {
  const sizes = { vocabSize: 40, hiddenSize: 16, intermediateSize: 16, numHiddenLayers: 2, initializerRange: 0.5 }
  const layerTypes = isAlternating ? { layerTypes: ['sliding_attention', 'full_attention'] as const } : {}
  const heads = { numAttentionHeads: 2, numKeyValueHeads: 1, maxPositionEmbeddings: 10000 }
  const config = mistral.config.complete({ ...sizes, ...heads, slidingWindow, ...layerTypes })
  return new LlamaForCausalLM(config, { seed: 3, relative: mistral })
}

const text = (length: number, step = 7): number[] => Array.from({ length }, (_, i) => 3 + ((i * i + step * i) % 37))
const greedy = { eosTokenId: -1, onWarning: () => {} }

test('a text of any length takes the memory of the window, and a layer without a window that of the text', async () => {
  await init()
  for (const isAlternating of [false, true]) {
    const model = tinyMistral(64, isAlternating)
    const { numBytes, numTensors } = tf.memory()
    const cache = model.createCache(1000)
    const read = (count: number): number => {
      tf.dispose(model.forward({ inputIds: [text(count)], cache, logitsToKeep: 1 }))
      return tf.memory().numBytes - numBytes
    }
    const bytes = [200, ...Array(700).fill(1)].map(read)
    expect(cache.length).toBe(900)
    // keys and values of headDim 8: 63 before the next token and twice 8 to spare, or all 1000
    const perRow = 2 * 8 * 4
    const windowed = (64 - 1 + 8 + 8) * perRow
    expect(new Set(bytes)).toEqual(new Set([windowed + (isAlternating ? 1000 * perRow : windowed)]))
    cache.dispose()
    expect(tf.memory().numTensors).toBe(numTensors)
    model.dispose()
  }
})

describe('a conversation whose window has moved on', () => {
  testOnBackends('goes on from the cache, or reads again what it gave up', async () => {
    const model = tinyMistral(24, true)
    const before = tf.memory().numTensors
    const promptCache = new PromptCache(model)
    const expectSame = async (prompt: number[], options: GenerateOptions = {}): Promise<number[]> => {
      const all = { ...greedy, maxNewTokens: 12, ...options }
      const [alone] = await model.generate([prompt], { ...all, cacheImplementation: 'full' })
      expect(await model.generate([prompt], { ...all, promptCache })).toEqual([alone])
      return alone!
    }
    const first = await expectSame(text(60))
    expect(promptCache.sharedWith([...first, 5])).toBe(first.length - 1)
    const second = await expectSame([...first, ...text(4)])
    expect(promptCache.sharedWith(second.slice(0, -1))).toBe(second.length - 2) // within what is kept to spare
    expect(promptCache.sharedWith([...first.slice(0, 30), 4])).toBe(0)
    await expectSame([...first.slice(0, 30), 4]) // other words from token 30 on
    await expectSame(text(20))
    await expectSame(text(61), { promptLookupNumTokens: 8 })
    promptCache.dispose()
    expect(tf.memory().numTensors).toBe(before)
    model.dispose()
  })
})

test('drafts of any length, and texts in a batch, come out as they do alone', async () => {
  await init()
  const model = tinyMistral(24, true)
  const assistantModel = tinyMistral(8)
  const options = { ...greedy, maxNewTokens: 90 }
  const prompts = [text(70), text(3, 5), text(33, 2)]
  const [first, ...others] = await Promise.all(
    prompts.map(async prompt => (await model.generate([prompt], { ...options, cacheImplementation: 'full' }))[0]!),
  )
  for (const numAssistantTokens of [1, 5, 40]) {
    const drafted = { ...options, assistantModel, numAssistantTokens, assistantConfidenceThreshold: 0 }
    expect(await model.generate([prompts[0]!], drafted)).toEqual([first])
  }
  const { onWarning: _, ...each } = options
  const scheduler = new BatchScheduler(model, { maxSequences: 3, prefillChunk: 16, keptCaches: 2 })
  for (let round = 0; round < 2; round++) {
    const sequences = prompts.map(prompt => scheduler.submit(prompt, each))
    for (const sequence of sequences) for await (const _ of sequence);
    expect(sequences.map(({ ids }) => ids)).toEqual([first, ...others])
  }
  await scheduler.dispose()
  model.dispose()
  assistantModel.dispose()
})

test('refuses what it does not know, and what a PromptCache has decided', async () => {
  await init()
  const model = tinyMistral(24)
  const wrong = { cacheImplementation: 'static' } as unknown as GenerateOptions
  await expect(model.generate([[5]], wrong)).rejects.toThrow(
    'createCache: cacheImplementation is "static", expected "hybrid" or "full". Change it or leave it out.',
  )
  const unknown = { cacheDtype: 'int4' } as unknown as GenerateOptions
  await expect(model.generate([[5]], unknown)).rejects.toThrow(
    'createCache: cacheDtype is "int4", expected "float32" or "float16" or "q8_0". Change it or leave it out.',
  )
  const promptCache = new PromptCache(model)
  await expect(model.generate([[5]], { promptCache, cacheImplementation: 'full' })).rejects.toThrow(
    'generate: cacheImplementation is "full", expected none with promptCache. Give it to the PromptCache.',
  )
  await expect(model.generate([[5]], { promptCache, cacheDtype: 'q8_0' })).rejects.toThrow(
    'generate: cacheDtype is "q8_0", expected none with promptCache. Give it to the PromptCache.',
  )
  promptCache.dispose()
  model.dispose()
})
