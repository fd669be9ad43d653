/** Teaches a story teller which of two endings people prefer, the happy ones (DPO), by adapters beside its weights. */
import { DpoModel, LoraModel, loadDataset, preferenceCollator } from '@heed/trainer'
import { AutoModelForCausalLM, init, Tokenizer, Trainer } from 'heed'

await init()
const folder = 'packages/llama/test/fixtures/stories260K'
const tokenizer = await Tokenizer.fromPretrained(folder)
const model = await AutoModelForCausalLM.fromPretrained(folder)
const reference = await AutoModelForCausalLM.fromPretrained(folder) // what it was before: it must not go far from there

const rows = await loadDataset('json', { dataFiles: 'examples/data/endings.jsonl' })
const ids = (text: unknown, addSpecialTokens = false) => tokenizer.encode(text as string, { addSpecialTokens }).ids
const pairs = await rows.map(({ prompt, chosen, rejected }) => ({
  prompt: ids(prompt, true),
  chosen: ids(chosen),
  rejected: ids(rejected),
}))
const { train, test } = pairs.trainTestSplit({ testSize: 0.25, seed: 1 })

async function tell(): Promise<void> {
  for (const beginning of ['Ben saw a big dog. They were very', 'The bird fell down. They cried and were very']) {
    const prompt = ids(beginning, true)
    const [story] = await model.generate([[...prompt]], { maxNewTokens: 4 })
    console.log(tokenizer.decode(story!))
  }
}

await tell()
const adapted = new LoraModel(model, { r: 8, loraAlpha: 16, targetModules: ['q_proj', 'v_proj', 'down_proj'] })
const trainer = new Trainer({
  model: new DpoModel(adapted, reference, { beta: 0.1 }),
  args: { numTrainEpochs: 4, perDeviceTrainBatchSize: 8, learningRate: 1e-3 },
  trainDataset: train,
  evalDataset: test,
  collator: preferenceCollator({ padTokenId: 0 }),
})
const before = await trainer.evaluate()
await trainer.train()
const after = await trainer.evaluate()
console.log(`loss on pairs it has not seen: ${before.evalLoss!.toFixed(2)} -> ${after.evalLoss!.toFixed(2)}`)
await tell()

adapted.detach().dispose()
reference.dispose()
