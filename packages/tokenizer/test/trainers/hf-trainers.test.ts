import { existsSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { byteLevelAlphabet } from '../../src/byte-level-bpe.ts'
import type { UnigramModel } from '../../src/models/unigram.ts'
import { Tokenizer } from '../../src/tokenizer.ts'
import { BpeTrainer } from '../../src/trainers/bpe.ts'
import type { TextSource } from '../../src/trainers/trainer.ts'
import { UnigramTrainer } from '../../src/trainers/unigram.ts'
import { WordLevelTrainer } from '../../src/trainers/word-level.ts'
import { WordPieceTrainer } from '../../src/trainers/wordpiece.ts'
import { readFixture, type TokenizerFixture } from '../fixture.ts'
import { decorated, novelPath, readLines, shakespeare, threeKingdomsExcerpt } from './corpora.ts'

type Json = Record<string, unknown> & { readonly model: Record<string, unknown> }

interface Trainer {
  train(tokenizer: Tokenizer, texts: TextSource): Promise<void>
}

/** HF's tokenizer before it was trained: its file with an empty model. */
function untrained(json: Json): Tokenizer {
  const { type } = json.model
  const empty = type === 'Unigram' ? { vocab: [['<unk>', 0]], unk_id: 0 } : { vocab: {}, merges: [] }
  return Tokenizer.fromJSON({ ...json, post_processor: null, added_tokens: [], model: { ...json.model, ...empty } })
}

async function trainLike(json: Json, trainer: Trainer, texts: readonly string[]): Promise<Tokenizer> {
  const tokenizer = untrained(json)
  await trainer.train(tokenizer, texts)
  return tokenizer
}

const bertSpecials = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']

function wordPieceTrainer(corpus: readonly string[], learned: number): WordPieceTrainer {
  const specialTokens = [...bertSpecials, ...decorated(corpus, '##')]
  return new WordPieceTrainer({ vocabSize: 2 * specialTokens.length + learned, minFrequency: 2, specialTokens })
}

function unigramTrainer(vocabSize: number): UnigramTrainer {
  return new UnigramTrainer({ vocabSize, specialTokens: ['<pad>', '</s>', '<unk>'], unkToken: '<unk>' })
}

function wordLevelTrainer(vocabSize: number): WordLevelTrainer {
  return new WordLevelTrainer({ vocabSize, minFrequency: 2, specialTokens: ['<pad>', '<unk>'] })
}

/** Pieces in order and scores to eight decimals; HF itself varies in the last digits from run to run. */
function expectSameUnigram(tokenizer: Tokenizer, expected: Json): void {
  const { vocab, unkId } = tokenizer.model as UnigramModel
  const expectedVocab = expected.model.vocab as [string, number][]
  expect(unkId).toBe(expected.model.unk_id)
  const expectedScores = new Map(expectedVocab)
  expect(new Set(vocab.map(([piece]) => piece))).toEqual(new Set(expectedScores.keys()))
  for (const [piece, score] of vocab) expect(score, piece).toBeCloseTo(expectedScores.get(piece)!, 8)
}

describe('trained on Tiny Shakespeare as HF trains', () => {
  const fixture = (name: string) => readFixture<TokenizerFixture>(name).tokenizer as Json

  test('WordPiece learns the same vocabulary', async () => {
    const expected = fixture('wordpiece')
    const trainer = wordPieceTrainer(
      shakespeare.map(text => text.toLowerCase()),
      1200,
    )
    const tokenizer = await trainLike(expected, trainer, shakespeare)
    expect(tokenizer.model.toJSON()).toEqual(expected.model)
  })

  test('BPE with a suffix at the end of words learns the same vocabulary and merges', async () => {
    const expected = fixture('suffix-bpe')
    const corpus = shakespeare.map(text => text.toLowerCase())
    const specialTokens = ['<unk>', ...decorated(corpus, '', '</w>')]
    const trainer = new BpeTrainer({ vocabSize: 900, specialTokens, endOfWordSuffix: '</w>' })
    const tokenizer = await trainLike(expected, trainer, shakespeare)
    expect(tokenizer.model.toJSON()).toEqual(expected.model)
  })

  test('WordLevel learns the same vocabulary', async () => {
    const expected = fixture('word-level')
    const tokenizer = await trainLike(expected, wordLevelTrainer(2000), shakespeare)
    expect(tokenizer.model.toJSON()).toEqual(expected.model)
  })

  test('Unigram learns the same pieces and scores', async () => {
    const expected = fixture('unigram')
    expectSameUnigram(await trainLike(expected, unigramTrainer(1000), shakespeare), expected)
  })
})

interface ChineseFixture {
  readonly byteLevelBpe: Json
  readonly bpe: Json
  readonly wordpiece: Json
  readonly wordLevel: Json
  readonly unigram: Json
}

function testChinese(name: string, vocabSize: number, read: () => readonly string[]): void {
  const jobs: readonly [
    kind: Exclude<keyof ChineseFixture, 'unigram'>,
    make: (corpus: readonly string[]) => Trainer,
  ][] = [
    [
      'byteLevelBpe',
      () =>
        new BpeTrainer({
          vocabSize,
          minFrequency: 2,
          specialTokens: ['<|endoftext|>'],
          initialAlphabet: byteLevelAlphabet,
        }),
    ],
    ['bpe', () => new BpeTrainer({ vocabSize, specialTokens: ['<unk>'], maxTokenLength: 4 })],
    ['wordpiece', corpus => wordPieceTrainer(corpus, vocabSize)],
    ['wordLevel', () => wordLevelTrainer(vocabSize)],
  ]

  test.each(jobs)('%s learns the same model', async (kind, make) => {
    const expected = readFixture<ChineseFixture>(name)[kind]
    const tokenizer = await trainLike(expected, make(read()), read())
    expect(tokenizer.model.toJSON()).toEqual(expected.model)
  })

  test('unigram learns the same pieces and scores', async () => {
    const expected = readFixture<ChineseFixture>(name).unigram
    expectSameUnigram(await trainLike(expected, unigramTrainer(vocabSize), read()), expected)
  }, 300_000)
}

describe('trained on an excerpt of a Chinese novel as HF trains', () => {
  testChinese('chinese-excerpt', 4000, () => threeKingdomsExcerpt)
})

const hasNovel = existsSync(novelPath)
describe.skipIf(!hasNovel)(
  `trained on a whole Chinese novel as HF trains${hasNovel ? '' : ' (skipped: the shared data is not beside the repository)'}`,
  () => {
    testChinese('chinese-novel', 8000, () => readLines(novelPath))
  },
)
