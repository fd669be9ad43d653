/** Trains `models/countries-bert` on data/countries.txt: `npm run example models/make-bert`. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { init } from '@heed/tensor-backend'
import { bertSpecialTokens, createBertWordPiece, WordPieceTrainer } from '@heed/tokenizer'
import { Dataset, maskedLmCollator, Trainer } from '@heed/trainer'
import { BertForMaskedLM, bertConfig } from '@heed/transformer'

await init()
const here = import.meta.dirname
const lines = readFileSync(join(here, '..', 'data', 'countries.txt'), 'utf8')
  .trim()
  .split('\n')

const tokenizer = createBertWordPiece()
const opinions = readFileSync(join(here, '..', 'data', 'opinions.csv'), 'utf8')
  .trim()
  .split('\n')
await new WordPieceTrainer({ vocabSize: 400, specialTokens: bertSpecialTokens }).train(tokenizer, [
  ...lines,
  ...opinions,
])

const sizes = { hiddenSize: 32, intermediateSize: 64, numHiddenLayers: 2, numAttentionHeads: 4 }
const config = bertConfig.complete({
  vocabSize: tokenizer.vocabSize,
  ...sizes,
  maxPositionEmbeddings: 32,
  hiddenDropout: 0,
  attentionDropout: 0,
})
const model = new BertForMaskedLM(config, { seed: 1 })
const dataset = Dataset.from(lines.map(line => ({ inputIds: [...tokenizer.encode(line).ids] })))
const args = {
  maxSteps: 5000,
  perDeviceTrainBatchSize: 28,
  learningRate: 3e-3,
  lrSchedulerType: 'cosine',
  warmupSteps: 100,
} as const
await new Trainer({
  model,
  args,
  trainDataset: dataset,
  collator: maskedLmCollator({
    maskTokenId: 4,
    vocabSize: tokenizer.vocabSize,
    specialTokenIds: [0, 1, 2, 3],
    padTokenId: 0,
  }),
  callbacks: [{ onLog: ({ logs }) => console.log(logs) }],
}).train()
const folder = join(here, 'countries-bert')
await model.savePretrained(folder)
await tokenizer.save(folder)
