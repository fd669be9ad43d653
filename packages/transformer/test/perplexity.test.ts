import { tf } from '@heed/tensor-backend'
import { perplexity } from '@heed/transformer'
import { expect, test } from 'vitest'
import { tinyGpt2 } from './tiny-gpt2.ts'

test('a long text lets timers and signals have a turn, and ends when it is cancelled', async () => {
  await tf.setBackend('cpu')
  const model = tinyGpt2()
  const controller = new AbortController()
  const timer = setTimeout(() => controller.abort('enough'), 5)
  let seen = 0
  const ids = Array.from({ length: 4000 }, (_, i) => (i * i) % 20)
  const run = perplexity(model, ids, {
    contextLength: 8,
    signal: controller.signal,
    onProgress({ scored }) {
      seen = scored
    },
  })
  await expect(run).rejects.toMatchObject({ code: 'HEED_ABORTED', cause: 'enough' })
  expect(seen).toBeGreaterThan(0)
  expect(seen).toBeLessThan(ids.length - 1)
  clearTimeout(timer)
  model.dispose()
})
