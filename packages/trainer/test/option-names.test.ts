import { expect, test } from 'vitest'
import { causalLmCollator, classificationCollator, maskedLmCollator, seq2SeqCollator } from '../src/data/collators.ts'
import { Dataset } from '../src/data/dataset.ts'
import { streamDataset } from '../src/data/load-dataset.ts'
import { PackedTokens } from '../src/data/packed-tokens.ts'
import { IterableDataset, interleaveDatasets } from '../src/data/stream.ts'
import { textCorpus } from '../src/data/text.ts'
import { TokenShards, writeTokenShards } from '../src/data/token-shards.ts'
import { DistilledModel } from '../src/distillation.ts'
import { earlyStopping } from '../src/early-stopping.ts'
import { LoraModel } from '../src/lora.ts'
import { accuracy } from '../src/metrics.ts'
import type { TrainableModel } from '../src/model.ts'
import { Adafactor } from '../src/optim/adafactor.ts'
import { AdamW } from '../src/optim/adamw.ts'
import { Lion } from '../src/optim/lion.ts'
import { Muon } from '../src/optim/muon.ts'
import { Sgd } from '../src/optim/sgd.ts'
import { DpoModel } from '../src/preference.ts'
import { lossPlot, lossPlotSvg } from '../src/report/loss-plot.ts'
import { Trainer } from '../src/trainer.ts'

const rows = new Dataset([1, 2])
const stream = new IterableDataset(() => [1, 2])
const model = {} as TrainableModel
const masking = { maskTokenId: 1, vocabSize: 2 }

test.each<[string, unknown, (options: never) => unknown]>([
  ['Trainer: trainDataSet', { model, trainDataSet: rows }, options => new Trainer(options)],
  ['loadDataset: delimeter', { dataFiles: 'x.csv', delimeter: ';' }, options => streamDataset('csv', options)],
  ['IterableDataset.map: batch_size', { batch_size: 3 }, options => stream.map(row => row, options)],
  ['IterableDataset.shuffle: buffersize', { buffersize: 3 }, options => stream.shuffle(options)],
  ['Dataset.shuffle: sead', { sead: 3 }, options => rows.shuffle(options)],
  ['Dataset.trainTestSplit: test_size', { test_size: 0.5 }, options => rows.trainTestSplit(options)],
  ['interleaveDatasets: probability', { probability: [1] }, options => interleaveDatasets([rows], options)],
  ['earlyStopping: patience', { patience: 3 }, earlyStopping],
  ['causalLmCollator: pad_token_id', { pad_token_id: 3 }, causalLmCollator],
  ['maskedLmCollator: probability', { ...masking, probability: 0.3 }, maskedLmCollator],
  ['seq2SeqCollator: decoderStart', { padTokenId: 3, decoderStart: 0 }, seq2SeqCollator],
  ['classificationCollator: labels', { labels: 3 }, classificationCollator],
  ['AdamW: lr', { lr: 3 }, options => new AdamW([], options)],
  ['Adafactor: decay', { decay: 3 }, options => new Adafactor([], options)],
  ['Lion: beta3', { beta3: 3 }, options => new Lion([], options)],
  ['Muon: nesterov', { nesterov: 3 }, options => new Muon([], options)],
  ['Sgd: lr', { lr: 3 }, options => new Sgd([], options)],
  ['LoraConfig: rank', { rank: 4, targetModules: ['q'] }, options => new LoraModel(model as never, options)],
  ['lossPlot: heigth', { heigth: 3 }, options => lossPlot('', options)],
  ['lossPlot: tilte', { tilte: 'x' }, options => lossPlotSvg([], options)],
  ['textCorpus: blocksize', { blocksize: 3 }, options => textCorpus('', options)],
  ['PackedTokens: block_size', { block_size: 3 }, options => new PackedTokens(new Uint16Array(4), options)],
  ['DpoModel: bta', { bta: 3 }, options => new DpoModel(model as never, model, options)],
  ['DistilledModel: labelshift', { labelshift: 0 }, options => new DistilledModel(model as never, model, options)],
])('%s, which would be passed over, is refused', (said, options, call) => {
  expect(() => call(options as never)).toThrow(`${said} is not an option, expected `)
  expect(() => call(options as never)).toThrow('. Rename it or leave it out.')
})

test('so is what Dataset.map has in HF alone, and what are no options at all', async () => {
  const change = (row: number): number => row
  await expect(rows.map(change, { removeColumns: ['a'] } as object)).rejects.toThrow(
    'Dataset.map: removeColumns is not an option, expected one of batched, batchSize, fnKwargs, numProc, cacheFile, ' +
      'cacheFolder, newFingerprint. Rename it or leave it out.',
  )
  expect(() => rows.shuffle(42 as never)).toThrow(
    'Dataset.shuffle: the options are 42, expected an object with seed. Give each by its name: { seed: ... }.',
  )
  expect(() => rows.shuffle({ seed: '42' as unknown as number })).toThrow(
    'Dataset.shuffle: seed is "42", expected an integer.',
  )
  await expect(TokenShards.open('', { blockSize: 8, strid: 1 } as never)).rejects.toThrow(
    'TokenShards: strid is not an option, expected stride. Rename it or leave it out.',
  )
  await expect(writeTokenShards('', [], { vocabsize: 8 } as never)).rejects.toThrow(
    'writeTokenShards: vocabsize is not an option, expected vocabSize. Rename it or leave it out.',
  )
  expect(() => new Trainer({ trainDataset: rows } as never)).toThrow(
    'Trainer: model is undefined, expected one with namedParameters() and forward(). Give it as { model, ... }.',
  )
  expect(() => seq2SeqCollator({ padTokenId: 0 } as never)).toThrow(
    'seq2SeqCollator: decoderStartTokenId is undefined, expected an integer at least 0.',
  )
  expect(() => accuracy(undefined as never, [1])).toThrow(
    'accuracy: predictions are undefined, expected a list of numbers.',
  )
  await expect(rows.map(change, { batchSize: undefined } as object)).resolves.toHaveLength(2)
})
