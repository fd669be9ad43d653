// Trains the tokenizers that the site brings along, on Tiny Shakespeare: node apps/demo/scripts/make-tokenizers.mjs (after `pnpm build`).
import { readFileSync, writeFileSync } from 'node:fs'
import {
  BertNormalizer,
  BertPreTokenizer,
  BpeTrainer,
  byteLevelAlphabet,
  createByteLevelBpe,
  MetaspaceDecoder,
  MetaspacePreTokenizer,
  Tokenizer,
  UnigramModel,
  UnigramTrainer,
  WordPieceDecoder,
  WordPieceModel,
  WordPieceTrainer,
} from '@heed/tokenizer'

const vocabSize = 2048
const lines = readFileSync(new URL('../../../data/tiny-shakespeare.txt', import.meta.url), 'utf8').split(/(?<=\n)/)
const bertTokens = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']

const kinds = {
  bpe: [createByteLevelBpe(), new BpeTrainer({ vocabSize, initialAlphabet: byteLevelAlphabet })],
  wordpiece: [
    new Tokenizer({
      model: new WordPieceModel({ unkToken: '[UNK]' }),
      normalizer: new BertNormalizer(),
      preTokenizer: new BertPreTokenizer(),
      decoder: new WordPieceDecoder(),
    }),
    new WordPieceTrainer({ vocabSize, specialTokens: bertTokens }),
  ],
  unigram: [
    new Tokenizer({
      model: new UnigramModel(),
      preTokenizer: new MetaspacePreTokenizer(),
      decoder: new MetaspaceDecoder(),
    }),
    new UnigramTrainer({ vocabSize, unkToken: '<unk>', specialTokens: ['<unk>'] }),
  ],
}

for (const [name, [tokenizer, trainer]] of Object.entries(kinds)) {
  await trainer.train(tokenizer, lines)
  writeFileSync(new URL(`../public/tokenizers/${name}.json`, import.meta.url), `${JSON.stringify(tokenizer)}\n`)
}
