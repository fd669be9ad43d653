import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { LlamaForCausalLM } from '@heed/llama'
import { tf } from '@heed/tensor-backend'
import { testOnBackends } from '@heed/transformer/testing'
import { expect } from 'vitest'

const folder = fileURLToPath(new URL('fixtures/stories260K', import.meta.url))
const { generation } = JSON.parse(readFileSync(`${folder}/expected.json`, 'utf8'))

testOnBackends('a text may have more tokens than any memory has room for: it ends where it ends', async () => {
  const { inputIds, ids } = generation
  const model = await LlamaForCausalLM.fromPretrained(folder)
  const stoppingCriteria = [(text: readonly number[]) => text.length === inputIds[0].length + 20]
  const written = await model.generate(inputIds, { maxNewTokens: 99_999_999_999, stoppingCriteria })
  expect(written[0]).toEqual(ids[0].slice(0, inputIds[0].length + 20))
  model.dispose()
})

testOnBackends("stories260K writes the 200 greedy tokens that llama2.c's own test expects", async () => {
  const { inputIds, options, ids } = generation
  const model = await LlamaForCausalLM.fromPretrained(folder)
  const before = tf.memory().numTensors
  expect(await model.generate(inputIds, options)).toEqual(ids)
  expect(tf.memory().numTensors).toBe(before)
  model.dispose()
})
