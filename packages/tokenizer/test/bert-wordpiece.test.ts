import { expect, test } from 'vitest'
import { bertSpecialTokens, createBertWordPiece } from '../src/bert-wordpiece.ts'
import { WordPieceTrainer } from '../src/trainers/wordpiece.ts'

test("a trained BERT tokenizer has BERT's ids, puts its tokens around texts, and takes the vocabulary again", async () => {
  const tokenizer = createBertWordPiece()
  const trainer = new WordPieceTrainer({ vocabSize: 60, specialTokens: [...bertSpecialTokens] })
  await trainer.train(tokenizer, ['low lower lowest', 'new newer newest'])
  expect(bertSpecialTokens.map(token => tokenizer.tokenToId(token))).toEqual([0, 1, 2, 3, 4])
  const { ids, tokens, typeIds } = tokenizer.encode('Löw', { pair: 'new' })
  expect(tokens).toEqual(['[CLS]', 'low', '[SEP]', 'new', '[SEP]'])
  expect(typeIds).toEqual([0, 0, 0, 1, 1])
  expect(tokenizer.decode(ids)).toBe('low new')
  expect(tokenizer.specialTokenId('mask_token')).toBe(4)
  const given = createBertWordPiece({ vocab: tokenizer.vocabulary(), config: { model_max_length: 512 } })
  expect(given.toJSON()).toEqual(tokenizer.toJSON())
  expect(given.config.model_max_length).toBe(512)
  expect(
    createBertWordPiece({ vocab: { '[UNK]': 0, '[CLS]': 1, '[SEP]': 2, Ä: 3 }, lowercase: false }).encode('Ä').ids,
  ).toEqual([1, 3, 2])
})
