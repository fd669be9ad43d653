import { LlamaForCausalLM, llamaConfig } from '@heed/llama'
import { init, tf } from '@heed/tensor-backend'
import { beforeAll, expect, test } from 'vitest'
import { freezeLayers } from '../src/freeze-layers.ts'
import { Trainer } from '../src/trainer.ts'

beforeAll(async () => {
  await init()
})

const sizes = { vocabSize: 32, hiddenSize: 8, intermediateSize: 16, numHiddenLayers: 3, numAttentionHeads: 2 }

test('the embeddings and the first layers keep their weights while the others learn', async () => {
  const model = new LlamaForCausalLM(llamaConfig.complete(sizes), { seed: 1 })
  const before = new Map(Array.from(model.namedParameters(), ([key, value]) => [key, Array.from(value.dataSync())]))
  freezeLayers(model, 2)
  const ids = Array.from({ length: 8 }, (_, i) => i)
  const trainDataset = { length: 4, get: () => ({ inputIds: ids }) }
  await new Trainer({ model, args: { maxSteps: 2, learningRate: 0.1 }, trainDataset }).train()
  const changed = [...model.namedParameters()].flatMap(([key, value]) =>
    before.get(key)!.join() === Array.from(value.dataSync()).join() ? [] : [key],
  )
  const learns = (key: string): boolean => !/^model\.(embed_tokens|layers\.[01])\./.test(key)
  expect(changed).toEqual([...before.keys()].filter(learns))
  expect(changed).toContain('lm_head.weight')
  model.dispose()
  expect(tf.memory().numTensors).toBe(0)
})

test('more layers than there are, or none, are refused', () => {
  const model = new LlamaForCausalLM(llamaConfig.complete(sizes), { seed: 1 })
  for (const count of [0, 4, 1.5]) {
    expect(() => freezeLayers(model, count)).toThrow(
      `freezeLayers: count is ${count}, expected an integer from 1 to the 3 layers of the model.`,
    )
  }
  model.dispose()
})
