import { init, tf } from '@heed/tensor-backend'
import { Gpt2LMHeadModel } from '@heed/transformer'
import { expect, test } from 'vitest'
import { tinyGpt2Config } from '../tiny-gpt2.ts'

test.each(['native', 'wasm', 'cpu'] as const)('logits of all steps lie in one array on %s', async backend => {
  await init({ backend })
  const model = new Gpt2LMHeadModel(tinyGpt2Config)
  const seen = new Set<ArrayBufferLike>()
  const logitsProcessors = [(scores: Float32Array): void => void seen.add(scores.buffer)]
  const options = { maxNewTokens: 4, logitsProcessors, returnDictInGenerate: true, outputLogits: true } as const
  const { sequences, logits } = await model.generate([[3, 1, 4]], options)
  expect(seen.size).toBe(1)
  const whole = model.forward({ inputIds: sequences })
  const wanted = whole.logits.arraySync() as number[][][]
  for (const [i, rows] of logits!.entries()) {
    for (const [id, logit] of rows[0]!.entries()) expect(logit).toBeCloseTo(wanted[0]![2 + i]![id]!, 4)
  }
  tf.dispose(whole)
  model.dispose()
})
