import { fileURLToPath } from 'node:url'
import { llamaArchitectures } from '@heed/llama'
import { init, tf } from '@heed/tensor-backend'
import { AutoModelForCausalLM, BatchScheduler, registerArchitecture } from '@heed/transformer'
import { expect, test } from 'vitest'

registerArchitecture(...llamaArchitectures)

const folders = ['llama-tiny/grouped', 'gemma3_text-tiny', 'qwen2-tiny-windows', 'phi3-tiny-longrope', 'mixtral-tiny']

/** Of different lengths, without the padding token; one is longer than windows and angles that stretch. */
const prompts = [[5, 6], [7], Array.from({ length: 40 }, (_, i) => 4 + ((5 * i) % 19)), [9, 8, 7, 6, 5]]

test.each(folders)('texts that %s writes together are those it writes alone', async folder => {
  await init()
  const model = await AutoModelForCausalLM.fromPretrained(fileURLToPath(new URL(`fixtures/${folder}`, import.meta.url)))
  const before = tf.memory().numTensors
  const options = { maxNewTokens: 24, eosTokenId: -1, onWarning: () => {} }
  const expected: number[][] = []
  for (const prompt of prompts) expected.push(...(await model.generate([prompt], options)))
  const scheduler = new BatchScheduler(model, { contextLength: 1000, maxSequences: 3, prefillChunk: 16 })
  const { onWarning: _, ...each } = options
  const sequences = prompts.map(prompt => scheduler.submit(prompt, each))
  for (const sequence of sequences) for await (const _ of sequence);
  expect(sequences.map(({ ids }) => ids)).toEqual(expected)
  await scheduler.dispose()
  expect(tf.memory().numTensors).toBe(before)
  model.dispose()
})
