/** Trains a tokenizer and a small GPT-2 on a text, and lets it write. */
import { readFileSync } from 'node:fs'
import { textCorpus } from '@heed/trainer'
import { BpeTrainer, createByteLevelBpe, Gpt2LMHeadModel, gpt2Config, init, Trainer } from 'heed'

await init()
const text = readFileSync('data/tiny-shakespeare.txt', 'utf8').slice(0, 100_000)

const tokenizer = createByteLevelBpe()
await new BpeTrainer({ vocabSize: 512 }).train(tokenizer, text.split(/(?<=\n)/))
const { train, validation } = textCorpus(text, { tokenizer, blockSize: 64 })

const sizes = { hiddenSize: 64, numHiddenLayers: 2, numAttentionHeads: 4, maxPositionEmbeddings: 64 }
const model = new Gpt2LMHeadModel(gpt2Config.complete({ vocabSize: tokenizer.vocabSize, ...sizes }), { seed: 1 })

const trainer = new Trainer({
  model,
  args: { maxSteps: 60, perDeviceTrainBatchSize: 8, learningRate: 0.02, loggingSteps: 20 },
  trainDataset: train,
  evalDataset: validation!,
  callbacks: [
    { onLog: ({ logs }) => void (logs?.loss && console.log(`step ${logs.step}: loss ${logs.loss.toFixed(2)}`)) },
  ],
})
await trainer.train()
const { evalBitsPerByte } = await trainer.evaluate()
console.log(`${evalBitsPerByte!.toFixed(2)} bits for each byte of a text it has not seen`)

const prompt = tokenizer.encode('ROMEO:\n').ids
const [ids] = await model.generate([prompt], { maxNewTokens: 40, doSample: true, temperature: 0.8, seed: 1 })
console.log(tokenizer.decode(ids!))

model.dispose()
