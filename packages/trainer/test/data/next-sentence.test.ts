import { init, tf } from '@heed/tensor-backend'
import { BertForPreTraining, bertConfig } from '@heed/transformer'
import { beforeAll, expect, test } from 'vitest'
import { nextSentenceCollator, nextSentencePairs } from '../../src/data/next-sentence.ts'
import { Trainer } from '../../src/trainer.ts'

beforeAll(async () => {
  await init()
})

/** Documents whose ids say where they stand: document d has the ids 10 · d + 10 ... */
const documents = [0, 1, 2, 3].map(d => [0, 1, 2, 3, 4, 5].map(s => [10 + 10 * d + s, 10 + 10 * d + s]))
const options = { clsTokenId: 2, sepTokenId: 3, maxLength: 11, seed: 4 }
const documentOf = (id: number): number => Math.floor(id / 10) - 1

test('a pair labelled 0 is one stretch of a document, one labelled 1 has its second part from another', () => {
  const pairs = nextSentencePairs(documents, options)
  expect(new Set(pairs.map(pair => pair.nextSentenceLabel))).toEqual(new Set([0, 1]))
  for (const { inputIds, tokenTypeIds, specialTokensMask, nextSentenceLabel } of pairs) {
    const ids = Array.from(inputIds)
    expect(ids.length).toBeLessThanOrEqual(11)
    expect(ids.map((id, i) => (id === 2 || id === 3 ? 1 : 0) === specialTokensMask![i])).not.toContain(false)
    const first = ids.indexOf(3)
    const [a, b] = [ids.slice(1, first), ids.slice(first + 1, -1)]
    expect(Math.min(a.length, b.length)).toBeGreaterThan(0)
    expect(Array.from(tokenTypeIds!)).toEqual(ids.map((_, i) => (i > first ? 1 : 0)))
    const isSame = documentOf(a[0]!) === documentOf(b[0]!)
    expect(isSame).toBe(nextSentenceLabel === 0)
    for (const part of [a, b]) expect(new Set(part.map(documentOf)).size).toBe(1)
    if (isSame) expect(b[0]! - a.at(-1)!).toBeLessThanOrEqual(1)
  }
  expect(nextSentencePairs(documents, options)).toEqual(pairs)
  const used = new Set(pairs.flatMap(pair => Array.from(pair.inputIds)).filter(id => id > 3))
  expect(used.size).toBeGreaterThan(20) // of 24 different ids, some cut off
})

test('BERT learns from a batch of pairs, both losses together', async () => {
  const pairs = nextSentencePairs(documents, options)
  const sizes = { vocabSize: 60, hiddenSize: 16, intermediateSize: 32, numHiddenLayers: 1, numAttentionHeads: 2 }
  const model = new BertForPreTraining(bertConfig.complete(sizes), { seed: 1 })
  const collator = nextSentenceCollator({ maskTokenId: 4, padTokenId: 0, vocabSize: 60, mlmProbability: 0.4 })
  const { inputs } = collator(pairs.slice(0, 3), 1)
  expect(inputs.nextSentenceLabel!.shape).toEqual([3])
  const trainer = new Trainer({
    model: model as never,
    args: { maxSteps: 30, learningRate: 0.01, loggingSteps: 1 },
    trainDataset: { length: pairs.length, get: index => pairs[index]! },
    collator,
  })
  await trainer.train()
  const losses = trainer.state.logHistory.flatMap(({ loss }) => (loss === undefined ? [] : [loss]))
  expect(losses[0]!).toBeGreaterThan(Math.log(60)) // of the masked tokens and, beside it, of the pairs
  expect(losses.at(-1)!).toBeLessThan(losses[0]! - 0.5)
  model.dispose()
  expect(tf.memory().numTensors).toBe(0)
})

test('one document is not enough for strangers', () => {
  expect(() => nextSentencePairs([[[5]], [[]]], options)).toThrow(
    'nextSentencePairs: documents with text are 1, expected at least 2. A pair of strangers needs two.',
  )
  expect(() => nextSentencePairs(documents, { ...options, maxLength: 4 })).toThrow(
    'nextSentencePairs: maxLength is 4, expected an integer at least 5.',
  )
})
