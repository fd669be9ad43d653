import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AutoModelForCausalLM, init, LlamaForCausalLM, llamaConfig, tf } from 'heed'
import { expect, test } from 'vitest'

test('a saved LLaMA comes back through the Auto class with the same logits', async () => {
  await init({ backend: 'cpu' })
  const folder = await mkdtemp(join(tmpdir(), 'heed-'))
  try {
    const config = llamaConfig.complete({
      vocabSize: 11,
      hiddenSize: 8,
      intermediateSize: 12,
      numHiddenLayers: 1,
      numAttentionHeads: 2,
    })
    const model = new LlamaForCausalLM(config, { seed: 4 })
    await model.savePretrained(folder)
    const loaded = await AutoModelForCausalLM.fromPretrained(folder)
    expect(loaded).toBeInstanceOf(LlamaForCausalLM)
    tf.tidy(() => {
      const logits = (m: typeof loaded): ArrayLike<number> => m.forward({ inputIds: [[1, 2, 3]] }).logits.dataSync()
      expect(logits(loaded)).toEqual(logits(model))
    })
  } finally {
    await rm(folder, { recursive: true })
  }
})
