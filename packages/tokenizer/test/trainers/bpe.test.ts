import { expect, test } from 'vitest'
import { byteLevelAlphabet, createByteLevelBpe } from '../../src/byte-level-bpe.ts'
import { BpeTrainer } from '../../src/trainers/bpe.ts'
import { readFixture, type TokenizerFixture } from '../fixture.ts'
import { shakespeare as lines } from './corpora.ts'

test('a byte-level BPE trained on Tiny Shakespeare has the vocabulary and merges that HF learns', async () => {
  const expected = readFixture<TokenizerFixture>('byte-level-bpe').tokenizer.model
  const tokenizer = createByteLevelBpe()
  const trainer = new BpeTrainer({
    vocabSize: 1200,
    minFrequency: 2,
    specialTokens: ['<|endoftext|>'],
    initialAlphabet: byteLevelAlphabet,
  })
  await trainer.train(tokenizer, lines)
  expect(tokenizer.model.toJSON()).toEqual(expected)
})

test('training from an async iterable learns the same as from an array', async () => {
  async function* stream() {
    yield* lines.slice(0, 2000)
  }
  const [fromArray, fromStream] = [createByteLevelBpe(), createByteLevelBpe()]
  const trainer = new BpeTrainer({ vocabSize: 400 })
  await trainer.train(fromArray, lines.slice(0, 2000))
  await trainer.train(fromStream, stream())
  expect(fromStream.toJSON()).toEqual(fromArray.toJSON())
})

test('progress counts texts first and tokens then, up to the end', async () => {
  const seen: string[] = []
  await new BpeTrainer({ vocabSize: 300 }).train(createByteLevelBpe(), lines.slice(0, 300), {
    onProgress: ({ stage, done, total }) => seen.push(`${stage} ${done}/${total}`),
  })
  expect(seen).toEqual([
    'Pre-processing sequences 256/undefined',
    'Pre-processing sequences 300/300',
    'Compute merges 300/300',
  ])
})
