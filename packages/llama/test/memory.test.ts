import { LlamaForCausalLM, llamaConfig } from '@heed/llama'
import { init, tf } from '@heed/tensor-backend'
import { expect, test } from 'vitest'

/** Bytes that the addon keeps for tensors to come. */
const cached = (): number =>
  (tf.backend() as unknown as { library: { memoryUse(): { cached: number } } }).library.memoryUse().cached

test('what the pieces of a long prompt of a wide model took is given back before the first token', async () => {
  await init({ backend: 'native' })
  const model = new LlamaForCausalLM(
    llamaConfig.complete({
      vocabSize: 20,
      hiddenSize: 2048,
      intermediateSize: 16,
      numHiddenLayers: 1,
      numAttentionHeads: 2,
      numKeyValueHeads: 1,
      headDim: 16,
    }),
  )
  const prompt = Array.from({ length: 300 }, (_, i) => 1 + ((i * 7) % 19)) // three pieces
  const atTokens: number[] = []
  await model.generate([prompt], { maxNewTokens: 2, streamer: { put: () => void atTokens.push(cached()) } })
  expect(atTokens[0]).toBe(0)
  expect(atTokens[1]).toBeGreaterThan(0) // so that the count counts
  model.dispose()
})
