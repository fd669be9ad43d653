/** Fine-tunes a BERT to tell good opinions from bad ones, and classifies new sentences with it. */
import { accuracy, classificationCollator, loadDataset, Trainer } from '@heed/trainer'
import { AutoModelForSequenceClassification, init, pipeline, Tokenizer } from 'heed'

await init()
const base = 'examples/models/countries-bert'
const labels = ['negative', 'positive']
const tokenizer = await Tokenizer.fromPretrained(base)
const model = await AutoModelForSequenceClassification.fromPretrained(base, {
  config: { id2label: Object.fromEntries(labels.entries()) },
  onWarning: () => {}, // the head begins at random: it is what we train
})

const rows = await loadDataset('csv', { dataFiles: 'examples/data/opinions.csv' })
const examples = await rows.map(({ label, text }) => ({
  inputIds: tokenizer.encode(text as string).ids,
  label: labels.indexOf(label as string),
}))
const { train, test } = examples.trainTestSplit({ testSize: 0.25, seed: 1 })

const trainer = new Trainer({
  model,
  args: { numTrainEpochs: 20, perDeviceTrainBatchSize: 16, learningRate: 3e-3 },
  trainDataset: train,
  evalDataset: test,
  collator: classificationCollator({ numLabels: labels.length, padTokenId: 0 }),
  computeMetrics: ({ predictions, labels: right }) => ({ accuracy: accuracy(predictions, right) }),
})
await trainer.train()
const { evalAccuracy } = await trainer.evaluate()
console.log('accuracy on opinions it has not seen:', evalAccuracy!.toFixed(2))

const classify = await pipeline('text-classification', { model, tokenizer })
for (const text of ['I found the trip wonderful.', 'The coffee was awful.']) {
  const [best] = await classify(text)
  console.log(best!.label, '|', text)
}
classify.dispose()
